package test

import (
	endian "encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlinkEvent is what a message of a listener is about.
type rtnetlinkEvent struct {
	kind            uint16
	table, priority uint32
}

func parseEvent(t *testing.T, message string) (e rtnetlinkEvent) {
	t.Helper()
	head, text, _ := strings.Cut(message, ": ")
	if _, err := fmt.Sscanf(head, "type %d", &e.kind); err != nil {
		t.Fatalf("%q: %v", message, err)
	}
	body, err := hex.DecodeString(text)
	if err != nil || len(body) < unix.SizeofRtMsg {
		return e
	}
	attrs, err := nl.ParseRouteAttr(body[unix.SizeofRtMsg:])
	if err != nil {
		return e
	}
	route := e.kind == unix.RTM_NEWROUTE || e.kind == unix.RTM_DELROUTE
	rule := e.kind == unix.RTM_NEWRULE || e.kind == unix.RTM_DELRULE
	for _, a := range attrs {
		switch {
		case (route || rule) && a.Attr.Type == unix.RTA_TABLE: // FRA_TABLE is the same number
			e.table = endian.NativeEndian.Uint32(a.Value)
		case rule && a.Attr.Type == nl.FRA_PRIORITY:
			e.priority = endian.NativeEndian.Uint32(a.Value)
		}
	}
	return e
}
