package packument

// Media types of the two forms of a packument.
const (
	TypeJSON        = "application/json"
	TypeAbbreviated = "application/vnd.npm.install-v1+json"
)

// Variants of a packument.
const (
	Full        = "full"        // as published
	Abbreviated = "abbreviated" // the members that an install needs
)
