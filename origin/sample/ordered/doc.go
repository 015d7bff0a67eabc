// Package ordered reads and writes JSON objects in the order of their members, as a
// registry keeps them. It knows nothing of packuments.
package ordered
