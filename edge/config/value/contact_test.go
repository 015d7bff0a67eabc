package value

import "testing"

func TestContact(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"ops@acme.example", "mailto:ops@acme.example"},
		{"mailto:ops@acme.example", "mailto:ops@acme.example"},
		{"https://chat.acme.example/#builds", "https://chat.acme.example/#builds"},
		{"http://wiki/edge", "http://wiki/edge"},
		{"tel:+49-30-1234", "tel:+49-30-1234"},
	} {
		if got, err := ParseContact(tt.text); got != tt.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{
		"the people upstairs", "javascript:alert(1)", "https://", "https:ops", "https://user:secret@acme.example/", "https://a b/", "data:text/html,x",
		"Ops <ops@acme.example>", "mailto:", "ops@", "a@b.example, c@d.example", "mailto:a@b.example?bcc=c@d.example&x", "tel:", "tel:call me", "tel:+-",
		"http://" + string(make([]byte, 300)), "//acme.example", "HTTPS", "vbscript:x",
	} {
		if got, err := ParseContact(text); err == nil {
			t.Errorf("%.60q is taken, as %q", text, got)
		}
	}
}
