package npm

// Media types of the two forms of a packument.
const (
	typeJSON        = "application/json"
	typeAbbreviated = "application/vnd.npm.install-v1+json"
)

// Variants of a packument.
const (
	Full        = "full"        // as published
	Abbreviated = "abbreviated" // what an install needs
)
