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
	links    map[int]refusal // of the programs of single links, by index
}

// set sets the settings that want programs, and how their place is found.
func (p *linkPrograms[T]) set(s uplinks.Settings, find func() (*bpf.LinkPrograms[T], error)) {
	p.settings, p.refused, p.links, p.find = s, refusal{}, map[int]refusal{}, find
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
func (p *linkPrograms[T]) read(wanted bool) (found map[int]T, refused uplinks.ProgramRefusal, err error) {
	if err = p.open(); err == nil {
		found, err = p.programs.Read()
	}
	switch {
	case err != nil && wanted:
		return nil, uplinks.ProgramRefusal{All: err.Error()}, nil
	case p.programs == nil || errors.Is(err, fs.ErrPermission):
		return nil, refused, nil
	}
	return found, refused, err
}

// check returns why the kernel refuses programs: all of them, or those of links for a while after it has. They have been read.
func (p *linkPrograms[T]) check() uplinks.ProgramRefusal {
	p.refused.check(p.programs.Check)
	r := uplinks.ProgramRefusal{All: p.refused.text(false), Links: map[int]string{}}
	for index, refused := range p.links {
		if time.Since(refused.at) > refusalRetry {
			delete(p.links, index)
			continue
		}
		r.Links[index] = refused.text(false)
	}
	return r
}

// setProgram gives a link its program. What the kernel refuses is not tried again for a while, unless the link is gone. Other links
// keep their programs.
func (p *linkPrograms[T]) setProgram(index int, program T) error {
	if err := p.open(); err != nil {
		return err
	}
	err := p.programs.Set(index, program)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		p.links[index] = refusal{err, time.Now()}
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
