package nftables_test

import (
	"strings"
	"testing"

	"replypath/marks/nftables"
)

func (h host) protect(on bool) {
	h.t.Helper()
	var err error
	h.Do(func() { err = h.firewalls[false].Protect(on) })
	if err != nil {
		h.t.Fatal(err)
	}
}

// flush runs nft flush ruleset, and wants the table to be there afterwards, or not.
func (h host) flush(stays bool) {
	h.t.Helper()
	h.Run("nft", "flush", "ruleset")
	if text := h.Run("nft", "list", "ruleset"); (text != "") != stays {
		h.t.Fatalf("after flush ruleset: %s", text)
	}
}

func TestProtectedTableIsChangedByItsOwnerAlone(t *testing.T) {
	h := newHost(t)
	v4, want4 := creation(0xff00, links(3, false))
	addPurposes(&v4, want4, 0xff00, false, links(3, false))
	v6, want6 := creation(0xff00, links(3, true))
	addPurposes(&v6, want6, 0xff00, true, links(3, true))
	h.apply(false, v4) // a table without flags is taken with its content
	h.apply(true, v6)
	h.protect(true)
	h.flush(true)
	h.wantRead("taken, IPv4", false, want4)
	h.wantRead("taken, IPv6", true, want6)
	if err := h.Command(t.Context(), "nft", "flush", "chain", "inet", "replypath", "ip-pre").Run(); err == nil {
		t.Error("another program flushed a chain")
	}
	other, _ := nftables.New()
	h.Do(func() {
		err := other.Apply(t.Context(), removal(v4))
		if err == nil || !strings.Contains(err.Error(), "the running service owns the table (protect = true)") {
			t.Errorf("another replypath: %v", err)
		}
	})
	h.apply(true, removal(v6))
	h.apply(true, v6)
	h.wantRead("changed", true, want6)
	// The end of the owner leaves it, and the next one takes it as it is.
	h.protect(false)
	h.wantRead("left", false, want4)
	h.protect(true)
	h.flush(true)
	h.protect(false)
	h.flush(false)
	// From nothing.
	h.protect(true)
	h.apply(false, v4)
	h.flush(true)
	h.apply(false, removal(v4))
	if text := h.Run("nft", "list", "ruleset"); text != "" {
		t.Errorf("left behind: %s", text)
	}
}

// A table with rules of another program is taken without them.
func TestProtectionRemovesRulesOfOthers(t *testing.T) {
	h := newHost(t)
	c, _ := creation(0xff00, links(2, false))
	h.apply(false, c)
	h.Run("nft", "insert rule inet replypath ip-pre ip saddr 192.0.2.1 ip ttl 1 return")
	h.protect(true)
	if r := h.read(false); len(r.Chains) != 0 {
		t.Errorf("%v", r.Chains)
	}
	h.apply(false, c)
	h.flush(true)
}
