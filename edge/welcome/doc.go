// Package welcome is the page that a browser sees at the root of the public listener: the purpose of the address,
// the lines by which package clients use it, and the contact of its operator.
//
// It is made of the public parts of a configuration alone, and knows nothing of masters,
// versions and figures. It has no lock.
package welcome
