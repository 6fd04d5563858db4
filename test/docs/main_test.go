package docs

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Programs of [udp] and filters at egress are pinned in a BPF file system.
func TestMain(m *testing.M) { box.Main(m, world.ProvideBPF) }
