package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Set gives the link with the index this filter, in place of one that it has: no packet meets none. After an error the link may have
// none, or the one before, which Read then calls damaged.
func (e *EgressFilters) Set(index int, f EgressFilter) error {
	program, networks, err := load(f)
	if err != nil {
		return err
	}
	defer networks.Close()
	defer program.Close()
	if err := os.MkdirAll(e.pins, 0o700); err != nil {
		return fmt.Errorf("make a folder for the filters at egress: %w", err)
	}
	defer e.removeEmptyFolder()
	if err := e.put(index, program); err != nil {
		return err
	}
	for path, pin := range map[string]func(string) error{e.pin(pinnedProgram, index): program.Pin, e.pin(pinnedNetworks, index): networks.Pin} {
		if err := errors.Join(remove(path), pin(path)); err != nil {
			return fmt.Errorf("pin the filter at egress: %w", err)
		}
	}
	return nil
}

// put makes the program that of the link.
func (e *EgressFilters) put(index int, program *ebpf.Program) error {
	path := e.pin(pinnedLink, index)
	if _, err := e.runningProgram(index); err == nil {
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			return fmt.Errorf("replace the filter at egress: %w", err)
		}
		defer l.Close()
		if err := l.Update(program); err != nil {
			return fmt.Errorf("replace the filter at egress: %w", err)
		}
		return nil
	}
	if err := e.detach(index); err != nil {
		return err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: ebpf.AttachTCXEgress, Anchor: link.Tail()})
	if err != nil {
		return fmt.Errorf("attach the filter at egress: %w", err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the filter at egress: %w", err)
	}
	return nil
}

// Delete takes the filter of the link with the index away, which may be gone.
func (e *EgressFilters) Delete(index int) error {
	err := errors.Join(e.detach(index), remove(e.pin(pinnedProgram, index)), remove(e.pin(pinnedNetworks, index)))
	e.removeEmptyFolder()
	return err
}

// removeEmptyFolder removes the folder of the pins, and the one that it is in, if nothing is pinned there.
func (e *EgressFilters) removeEmptyFolder() {
	if os.Remove(e.pins) == nil {
		_ = os.Remove(filepath.Dir(e.pins)) // unless it has more
	}
}

// detach ends the filter of the link at once: the kernel would only later notice that its last pin is gone.
func (e *EgressFilters) detach(index int) error {
	path := e.pin(pinnedLink, index)
	var failed error
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		failed = l.Detach()
		l.Close()
	}
	if err := errors.Join(failed, remove(path)); err != nil {
		return fmt.Errorf("remove the filter at egress: %w", err)
	}
	return nil
}

// remove removes a pin, if it exists.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
