package killed

import (
	"os"
	"testing"

	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	runKilledProcess()
	os.Exit(m.Run())
}
