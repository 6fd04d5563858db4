package perf

import (
	"testing"

	"replypath/test/box"
)

func TestMain(m *testing.M) { box.Main(m, bareProgram) }
