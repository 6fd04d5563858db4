package routers

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The classifiers at ingress are pinned in a BPF file system.
func TestMain(m *testing.M) { box.Main(m, world.ProvideBPF) }
