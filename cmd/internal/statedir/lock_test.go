package statedir

import (
	"context"
	"errors"
	"testing"
)

func TestLockIsHeldByOneProgram(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := d.Lock(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a second lock: %v", err)
	}
	first.Release()
	second, err := d.Lock(t.Context())
	if err != nil {
		t.Errorf("after the release: %v", err)
	}
	second.Release()
}

func TestSecondLockWaitsForTheFirst(t *testing.T) {
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	locked := make(chan error)
	go func() {
		second, err := d.Lock(t.Context())
		second.Release()
		locked <- err
	}()
	select {
	case err := <-locked:
		t.Errorf("locked beside the first: %v", err)
	default:
	}
	first.Release()
	if err := <-locked; err != nil {
		t.Error(err)
	}
}
