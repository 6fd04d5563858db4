package health

import (
	"fmt"
	"strconv"
	"time"

	"replypath/uplinks"
)

// ProxyStatus is the state of the socket of a transparent proxy, for one intercept.
type ProxyStatus struct {
	Intercept string             `json:"intercept"`
	Family    uplinks.Family     `json:"family"`
	Protocol  string             `json:"protocol"`
	Proxy     string             `json:"proxy"` // the port, or ADDRESS:PORT
	State     uplinks.ProxyState `json:"state"`
	Since     time.Time          `json:"since"`
	Without   uplinks.Without    `json:"without"`
	Check     string             `json:"check,omitempty"`
	Error     string             `json:"error,omitempty"` // why it does not answer its check
}

// NewProxyStatus returns the status of a proxy, without a time.
func NewProxyStatus(i uplinks.Intercept, p uplinks.Proxy, f uplinks.Facts) ProxyStatus {
	at := strconv.Itoa(int(p.Port))
	if p.Addr.IsValid() {
		at = p.AddrPort().String()
	}
	return ProxyStatus{Intercept: i.Name, Family: p.Family, Protocol: p.Proto, Proxy: at, State: f.Proxies[p], Without: i.Without, Check: p.Check, Error: f.ProxyErrors[p]}
}

// Same reports whether both are about the same socket of an intercept.
func (p ProxyStatus) Same(other ProxyStatus) bool {
	return p.Intercept == other.Intercept && p.Family == other.Family && p.Protocol == other.Protocol && p.Proxy == other.Proxy
}

// FamilyName returns "ipv4" or "ipv6".
func (p ProxyStatus) FamilyName() string {
	name, _ := p.Family.MarshalText() // it has no error
	return string(name)
}

// Text returns the state in one line, for people.
func (p ProxyStatus) Text() string {
	what := map[uplinks.ProxyState]string{
		uplinks.ProxyListening:      "a proxy listens",
		uplinks.ProxyNobody:         "no program listens",
		uplinks.ProxyNotTransparent: "the socket lacks IP_TRANSPARENT",
		uplinks.ProxyNotAnswering:   "the proxy does not answer",
		uplinks.ProxyUnknown:        "it is not known whether a proxy listens",
	}[p.State]
	text := fmt.Sprintf("%s on %s %s in %s", what, p.Protocol, p.Proxy, p.Family)
	if p.Error != "" {
		text += " (" + p.Error + ")"
	}
	switch {
	case p.State.Takes():
		return text
	case p.Without == uplinks.DropNew:
		return text + ": new connections are dropped"
	}
	return text + ": new connections pass"
}
