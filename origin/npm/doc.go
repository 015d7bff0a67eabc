// Package npm knows the npm registry.
package npm
