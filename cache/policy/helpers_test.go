package policy

import (
	"net/http"

	"pkgedge/cache/policy/policytest"
)

// received is a response that was sent, requested and received at Epoch.
func received(status int, lines ...string) *Response {
	r := Received(status, policytest.Fields(lines...), nil, policytest.Epoch, policytest.Epoch)
	return &r
}

// asking is a GET with the given Cache-Control, "" for none. "validate" is a GET
// for which the edge has the origin asked.
func asking(control string) Request {
	return Request{Method: http.MethodGet, Control: RequestControl(http.Header{"Cache-Control": {control}}), Validate: control == "validate"}
}
