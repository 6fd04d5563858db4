package inspect

import (
	"fmt"

	"replypath/uplinks"
)

// inspectProxies returns the intercepts whose proxy does not take connections.
func inspectProxies(s uplinks.Settings, f uplinks.Facts) (all []Finding) {
	if s.Interception == nil {
		return nil
	}
	for _, i := range s.Interception.Intercepts {
		effect := "new connections pass it by"
		if i.Without == uplinks.DropNew {
			effect = "new connections are dropped"
		}
		for _, p := range i.Proxies() {
			switch f.Proxies[p] {
			case uplinks.ProxyNobody:
				all = append(all, Finding{fmt.Sprintf("intercept %s: no program listens on %s: %s", i.Name, p, effect),
					"start the proxy, or correct proxy"})
			case uplinks.ProxyNotAnswering:
				all = append(all, Finding{fmt.Sprintf("intercept %s: the proxy on %s does not answer: %s: %s", i.Name, p, f.ProxyErrors[p], effect),
					"restart the proxy, or correct check"})
			case uplinks.ProxyNotTransparent:
				all = append(all, Finding{fmt.Sprintf("intercept %s: the socket on %s lacks IP_TRANSPARENT: %s", i.Name, p, effect),
					`let the proxy listen transparently: "tproxy" (squid), "transparent" (haproxy, nginx's listen cannot)`})
			}
		}
	}
	return all
}
