package redisconn

import (
	"net"
	"net/netip"
)

// Transport is how what is sent to Redis is protected on its way.
type Transport struct {
	// Local: it does not leave this machine.
	Local bool
	// Encrypted by TLS; Unverified means that nobody checks who answers.
	Encrypted, Unverified bool
}

// Transport says how the URL and the TLS files protect what is sent.
func (c Connection) Transport() Transport {
	t, _ := c.target()
	return Transport{
		Local:      t.socket != "" || allLocal(t.addrs),
		Encrypted:  t.scheme == "rediss" || c.usesTLSFiles(),
		Unverified: t.skipVerify,
	}
}

// allLocal reports whether addresses are all of this machine.
func allLocal(addrs []string) bool {
	for _, addr := range addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return false
		}
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return len(addrs) > 0
}
