// Package origintest has the masters, the sink and the comparisons that the tests of
// the packages below origin share. Only tests import it.
package origintest
