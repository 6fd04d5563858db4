package outbound

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The filters at egress are pinned in a BPF file system.
func TestMain(m *testing.M) { box.Main(m, useClient, world.ProvideBPF) }
