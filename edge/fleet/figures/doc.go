// Package figures has the figures of a fleet, as /status tells them. The rooms below edge/fleet
// fill them in, and edge/report shows them. It knows nothing of either.
package figures
