package config

import "pkgedge/edge/config/value"

// variables of the environment that stand in for keys which the file does not have: the
// built-in configuration, an image and a unit need no file for them.
const (
	tokenVariable  = "EDGE_ADMIN_TOKEN"
	publicVariable = "EDGE_PUBLIC_URL"
)

// environment gives cfg the values of these variables, before the file is decoded, which
// wins. An empty variable counts as unset. The problems of a variable are for misused, when
// it is known whether the file has the key.
func (d *decoder) environment(cfg *Config) {
	if text, _ := d.env(tokenVariable); text != "" {
		if token, err := value.ParseToken(text); err == nil {
			cfg.Admin.Token = token
		}
	}
	if text, _ := d.env(publicVariable); text != "" {
		if u, err := value.ParseBase(text); err == nil {
			cfg.PublicURL = u
		}
	}
}

// misused records the variables that were meant to stand in for a key, and cannot.
func (d *decoder) misused() {
	if text, _ := d.env(tokenVariable); text != "" && !d.Given("admin.token") {
		if _, err := value.ParseToken(text); err != nil {
			d.Bad("admin.token", "%s, from the environment, %v", tokenVariable, err)
		}
	}
	if text, _ := d.env(publicVariable); text != "" && !d.Given("public_url") {
		if _, err := value.ParseBase(text); err != nil {
			d.Bad("public_url", "%s, from the environment, %v", publicVariable, err)
		}
	}
}
