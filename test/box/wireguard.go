//go:build modules

package box

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"os"

	"replypath/test/world"
)

// peer is a WireGuard link and its public key.
type peer struct {
	Link   *world.Link
	public string
}

// NewPeer makes a WireGuard link that listens.
func NewPeer(h *world.Host, name string) peer {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	p := peer{AddLink(h, name, "type", "wireguard"), base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())}
	file := "/run/" + h.Name + ".key"
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key.Bytes())+"\n"), 0o600); err != nil {
		panic(err)
	}
	h.Run("wg", "set", name, "listen-port", "51820", "private-key", file)
	return p
}

// Join makes a peer send everything to another one, at the given endpoint or at the one that it calls from.
func (p peer) Join(other peer, endpoint string) {
	args := []string{"set", p.Link.Name, "peer", other.public, "allowed-ips", "0.0.0.0/0,::/0"}
	if endpoint != "" {
		args = append(args, "endpoint", endpoint)
	}
	p.Link.Host.Run("wg", args...)
}
