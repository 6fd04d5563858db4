package rtnl_test

import (
	"os"
	"testing"

	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}
