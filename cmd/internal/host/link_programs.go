package host

import (
	"errors"
	"io/fs"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// linkPrograms reads and writes the BPF programs of one kind at links, with the definition T. It is used by the methods of Host of which
// one runs at a time.
type linkPrograms[T any] struct {
	settings uplinks.Settings
	find     func() (*bpf.LinkPrograms[T], error)
	programs *bpf.LinkPrograms[T] // nil: not found
	refused  refusal
}

// set sets the settings that want programs, and how their place is found.
func (p *linkPrograms[T]) set(s uplinks.Settings, find func() (*bpf.LinkPrograms[T], error)) {
	p.settings, p.refused, p.find = s, refusal{}, find
}

// open finds the place of the programs.
func (p *linkPrograms[T]) open() error {
	if p.programs != nil {
		return nil
	}
	programs, err := p.find()
	if err == nil {
		p.programs = programs
	}
	return err
}

// read returns what the links have, by their index. If programs are wanted, refused is why they cannot be read.
func (p *linkPrograms[T]) read(wanted bool) (found map[int]T, refused string, err error) {
	if err = p.open(); err == nil {
		found, err = p.programs.Read()
	}
	switch {
	case err != nil && wanted:
		return nil, err.Error(), nil
	case p.programs == nil || errors.Is(err, fs.ErrPermission):
		return nil, "", nil
	}
	return found, "", err
}

// check returns why the kernel refuses programs, empty if it does not. They have been read.
func (p *linkPrograms[T]) check() string {
	p.refused.check(p.programs.Check)
	return p.refused.text(false)
}

// setProgram gives a link its program. What the kernel refuses is not tried again for a while, unless the link is gone.
func (p *linkPrograms[T]) setProgram(index int, program T) error {
	if err := p.open(); err != nil {
		return err
	}
	err := p.programs.Set(index, program)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		p.refused = refusal{err, time.Now()}
	}
	return err
}

// deleteProgram takes the program of a link away.
func (p *linkPrograms[T]) deleteProgram(index int) error {
	if err := p.open(); err != nil {
		return err
	}
	return p.programs.Delete(index)
}
