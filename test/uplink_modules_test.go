//go:build modules

package test

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// moduleKinds are those that are modules, which not every kernel has: make test-boot QEMU=1 boots Debian's.
var moduleKinds = map[string]linkKind{
	"VLAN":      {replaceLink: asVLAN},
	"bond":      {replaceLink: asBond, after: bondFailsOver},
	"WireGuard": {replaceLink: asWireGuard, gateway: autoGateways},
}

func TestModulesMakeUplinks(t *testing.T) { eachLinkKind(t, moduleKinds) }

func asVLAN(in *world.Internet, u *world.Uplink) {
	u.Link = addLink(in.Gateway, "eth1.100", "link", u.Link.Name, "type", "vlan", "id", "100")
	u.Side = addLink(u.ISP, "port0.100", "link", u.Wire.Name, "type", "vlan", "id", "100")
}

// asBond makes the wire and a second one a bond, of which one wire is used until it fails.
func asBond(in *world.Internet, u *world.Uplink) {
	spare, port := in.Join(in.Gateway, "eth1b", u.ISP, "port1")
	u.Side = u.ISP.Bridge("net0", u.Wire, port)
	in.Gateway.Run("ip", "link", "add", "name", "bond1", "type", "bond", "mode", "active-backup", "miimon", "10", "primary_reselect", "failure")
	for _, l := range []*world.Link{u.Link, spare} {
		l.Down()
		in.Gateway.Run("ip", "link", "set", l.Name, "master", "bond1")
		l.Up()
	}
	u.Link = in.Gateway.Link("bond1")
	u.Link.Up()
	awaitActivePort(in.Gateway, "eth1")
}

func bondFailsOver(t *testing.T, p *egress) {
	u := p.Uplinks[1]
	u.Wire.Down()
	awaitActivePort(p.Gateway, "eth1b")
	for _, to := range u.Addrs() {
		p.wantReplies(t, p.Client, u, to, world.Kinds)
	}
}

// awaitActivePort waits until the bond sends by that wire.
func awaitActivePort(h *world.Host, wire string) {
	for {
		if text := h.Run("ip", "-d", "link", "show", "bond1"); strings.Contains(text, "active_slave "+wire+" ") && strings.Contains(text, "LOWER_UP") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// asWireGuard makes the uplink a tunnel to its ISP, through the wire.
func asWireGuard(in *world.Internet, u *world.Uplink) {
	u.Link.Addr("198.18.100.2/30")
	u.Wire.Addr("198.18.100.1/30")
	here, there := newPeer(in.Gateway, "wg1"), newPeer(u.ISP, "wg0")
	here.join(there, "198.18.100.1:51820")
	there.join(here, "198.18.100.2:51820")
	u.Link, u.Side = here.link, there.link
}

// peer is a WireGuard link and its public key.
type peer struct {
	link   *world.Link
	public string
}

// newPeer makes a WireGuard link that listens.
func newPeer(h *world.Host, name string) peer {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	p := peer{addLink(h, name, "type", "wireguard"), base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())}
	file := "/run/" + h.Name + ".key"
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key.Bytes())+"\n"), 0o600); err != nil {
		panic(err)
	}
	h.Run("wg", "set", name, "listen-port", "51820", "private-key", file)
	return p
}

// join has a peer send everything to another one, which is there, or where it calls from.
func (p peer) join(other peer, endpoint string) {
	args := []string{"set", p.link.Name, "peer", other.public, "allowed-ips", "0.0.0.0/0,::/0"}
	if endpoint != "" {
		args = append(args, "endpoint", endpoint)
	}
	p.link.Host.Run("wg", args...)
}
