package config

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// checkHealth checks the health settings independently of the code under test.
func checkHealth(c Config) error {
	if len(c.Health.Uplinks) != len(c.Uplinks) {
		return errors.New("health has another number of uplinks")
	}
	for i, u := range c.Health.Uplinks {
		if u.Name != c.Uplinks[i].Name || u.Quorum < 1 || u.Quorum > max(1, len(u.Probes)) {
			return errors.New("order or quorum of " + u.Name)
		}
		if !slices.IsSortedFunc(u.Probes, func(a, b health.Probe) int { return strings.Compare(a.Name, b.Name) }) {
			return errors.New("order of the probes of " + u.Name)
		}
		for _, p := range u.Probes {
			if !validName(p.Name) || !validTarget(p.Target) || !validTiming(p) {
				return errors.New("probe " + p.Name)
			}
		}
	}
	for i, s := range c.Health.ProofServices {
		named := slices.ContainsFunc(c.Uplinks, func(u uplinks.Uplink) bool { return u.Name == s.Uplink })
		if s.Proto != "tcp" && s.Proto != "udp" || s.Port == 0 || s.Uplink != "" && (!named || s.Addr.IsValid()) ||
			s.Addr.IsValid() && !s.Addr.IsGlobalUnicast() || slices.Contains(c.Health.ProofServices[:i], s) {
			return errors.New("prove")
		}
	}
	for i, p := range c.Health.OnChange {
		if !validFile(p) || slices.Contains(c.Health.OnChange[:i], p) {
			return errors.New("on_change " + p)
		}
	}
	return checkProof(c.Health.Proof)
}

func checkProof(p health.ProofSettings) error {
	if p.Interval != 0 && (p.Interval < 5*time.Second || p.Interval > 24*time.Hour) {
		return errors.New("every")
	}
	for want4, a := range map[bool]netip.Addr{true: p.Source4, false: p.Source6} {
		if a.IsValid() && (a.Is4() != want4 || !a.IsGlobalUnicast() || a.Zone() != "") {
			return errors.New("source")
		}
	}
	return nil
}

func validTiming(p health.Probe) bool {
	between := func(d, low, high time.Duration) bool { return low <= d && d <= high }
	loss := p.Loss == health.LossThresholds{} || p.Loss.High <= 100 && p.Loss.Low < p.Loss.High && p.Loss.Low >= 0
	latency := p.Latency == health.LatencyThresholds{} || p.Latency.High <= time.Minute && p.Latency.Low < p.Latency.High && p.Latency.Low > 0
	return loss && latency && between(p.Interval, 100*time.Millisecond, time.Hour) && between(p.Timeout, 50*time.Millisecond, time.Minute) &&
		between(p.Retry, 50*time.Millisecond, p.Interval) && p.Fall > 0 && p.Fall <= 100 && p.Rise > 0 && p.Rise <= 1000
}

func validTarget(t health.Target) bool {
	rest := t
	rest.Kind, rest.Host = "", ""
	addr, err := netip.ParseAddr(t.Host)
	host := err == nil && (addr.IsGlobalUnicast() || addr.IsLinkLocalUnicast()) || err != nil && t.Host != "" && !strings.ContainsAny(t.Host, "[]:/ ")
	switch t.Kind {
	case health.Gateway:
		return t.Host == "" && rest == health.Target{}
	case health.ICMP:
		return host && rest == health.Target{}
	case health.TCP:
		return host && t.Port > 0 && rest == health.Target{Port: t.Port}
	case health.HTTP:
		return host && t.Port == 0 && (strings.HasPrefix(t.URL, "http://") || strings.HasPrefix(t.URL, "https://")) && strings.Contains(t.URL, t.Host) &&
			t.Status.First >= 100 && t.Status.First <= t.Status.Last && t.Status.Last <= 599
	}
	return false
}

func validFile(p string) bool {
	return strings.HasPrefix(p, "/") && filepath.Clean(p) == p && p != "/" && !strings.Contains(p, "\x00")
}

func checkEndpoint(e health.EndpointSettings) error {
	if e.Listen != (netip.AddrPort{}) && (!e.Listen.Addr().IsValid() || e.Listen.Port() == 0 || e.Listen.Addr().IsMulticast() || e.Listen.Addr().Is4In6()) {
		return errors.New("listen")
	}
	for _, file := range []string{e.TokenFile, e.CertFile, e.KeyFile} {
		if file != "" && !validFile(file) {
			return errors.New("file of the endpoint")
		}
	}
	if (e.CertFile == "") != (e.KeyFile == "") {
		return errors.New("certificate without key")
	}
	return nil
}

func checkPeer(p health.PeerSettings) error {
	if p.URL == "" && p != (health.PeerSettings{}) {
		return errors.New("files of no peer")
	}
	if message, _ := CheckPeerURL(p.URL); p.URL != "" && message != "" {
		return errors.New("url of the peer")
	}
	for _, file := range []string{p.TokenFile, p.CAFile} {
		if file != "" && !validFile(file) {
			return errors.New("file of the peer")
		}
	}
	return nil
}
