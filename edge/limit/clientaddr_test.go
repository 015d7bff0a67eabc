package limit

import (
	"net/netip"
	"strings"
	"testing"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("2001:db8:ffff::/48"),
}

func TestClientAddr(t *testing.T) {
	for _, c := range []struct {
		name string
		peer string
		xff  []string
		want string
	}{
		{"without the header it is the peer", "10.0.0.1", nil, "10.0.0.1"},
		{"a peer that is no proxy is not believed", "192.0.2.9", []string{"198.51.100.1"}, "192.0.2.9"},
		{"a proxy is believed", "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a mapped proxy is the proxy", "::ffff:10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the client wrote itself is not believed", "10.0.0.1", []string{"203.0.113.5, 198.51.100.1"}, "198.51.100.1"},
		{"a chain of proxies is walked", "10.0.0.1", []string{"203.0.113.5, 198.51.100.1, 10.0.0.3, 10.0.0.2"}, "198.51.100.1"},
		{"later field lines are further right", "10.0.0.1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"when all are trusted it is the leftmost", "10.0.0.1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"an entry may have a port", "10.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6 bare", "10.0.0.1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", "10.0.0.1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 in brackets with a port", "2001:db8:ffff::1", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"a mapped entry is unwrapped", "10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"a zone is dropped", "10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"space and tab around an entry", "10.0.0.1", []string{" \t198.51.100.1\t "}, "198.51.100.1"},
		{"a malformed entry ends the walk", "10.0.0.1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an empty entry ends the walk", "10.0.0.1", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"an empty field line ends the walk", "10.0.0.1", []string{"198.51.100.1", ""}, "10.0.0.1"},
		{"brackets around IPv4 are malformed", "10.0.0.1", []string{"[198.51.100.1]"}, "10.0.0.1"},
		{"a name is malformed", "10.0.0.1", []string{"client.example"}, "10.0.0.1"},
		{"the 32nd hop is the last", "10.0.0.1", []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", 32)}, "10.0.0.2"},
		{"31 proxies are walked", "10.0.0.1", []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", 31)}, "198.51.100.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ClientAddr(addr(c.peer), c.xff, proxies); got != addr(c.want) {
				t.Errorf("ClientAddr(%s, %q) = %v, want %s", c.peer, c.xff, got, c.want)
			}
		})
	}
}

func FuzzClientAddr(f *testing.F) {
	for _, seed := range []string{
		"", ",", "198.51.100.1", "198.51.100.1, 10.0.0.2", "[2001:db8::7]:443\n10.0.0.3", "unknown", "[", "[]", "[::1",
		"::ffff:10.0.0.1,10.1.1.1:80", "fe80::1%eth0", "fe80::1%,10.0.0.1",
	} {
		f.Add(seed)
	}
	peer := addr("10.0.0.1")
	f.Fuzz(func(t *testing.T, lines string) {
		values := strings.Split(lines, "\n")
		got := ClientAddr(peer, values, proxies)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("ClientAddr(%q) = %v is not a plain address", values, got)
		}
		stranger := addr("192.0.2.9")
		if got := ClientAddr(stranger, values, proxies); got != stranger {
			t.Fatalf("ClientAddr(%q) = %v believed a stranger", values, got)
		}
		// Entries that a client writes further left never change the address.
		if !Within(proxies, got) {
			forged := append([]string{"203.0.113.77, 10.0.0.9"}, values...)
			if again := ClientAddr(peer, forged, proxies); again != got {
				t.Fatalf("forged entries changed %v into %v", got, again)
			}
		}
		if _, ok := New(Config{Rate: 1}).Take(got, start, Hit); !ok {
			t.Fatalf("the first request of %v was refused", got)
		}
	})
}
