package host

import (
	"context"
	"math/rand/v2"
	"time"

	"replypath/health/inject"
	"replypath/health/proof"
	"replypath/health/trap"
)

// shown is what was put to the paths, and what was seen of it.
type shown struct {
	questions []proof.Question
	sights    proof.Sights
}

// busy bounds how long another program's proof is waited for.
const busy = 10 * time.Second

// show makes questions arrive on the paths' links and sees where the answers go. Nothing of it outlives it: a question
// to open a connection is taken back, and connection tracking is told to forget.
func (r *run) show(ctx context.Context) (s shown, err error) {
	if len(r.askers) == 0 {
		return s, nil
	}
	gate, err := inject.Open()
	if err != nil {
		return s, err
	}
	defer gate.Close()
	// Numbers of a run before this one, whose connections may be remembered, are not likely to be met again.
	const lowest, room = 32768, 28000
	questions := proof.Questions(r.paths, r.target, r.askers, uint16(lowest+rand.IntN(room)))
	servers := serve(questions)
	defer servers.close()
	waiting, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	t, err := trap.Open(waiting, trap.Bait{Askers: r.asking(), Links: r.wires()})
	if err != nil {
		return s, err
	}
	defer t.Close()
	c := crossing{run: r, gate: gate, trap: t, servers: servers}
	return c.all(ctx, servers.questions)
}

// wires are the links of all uplinks.
func (r *run) wires() (indices []int) {
	for _, p := range r.paths {
		indices = append(indices, p.Index)
	}
	return indices
}

// crossing is the time in which questions are out.
type crossing struct {
	*run
	gate    *inject.Gate
	trap    *trap.Trap
	servers *servers
	open    []proof.Question // connections that are not taken back yet
}

// look is how often answers that are late are looked for.
const lookAgain = 5 * time.Millisecond

func (c *crossing) all(ctx context.Context, questions []proof.Question) (s shown, err error) {
	defer c.forget(questions)
	defer c.takeBack()
	for _, q := range questions {
		if err := c.put(q); err != nil {
			return s, err
		}
		s.questions = append(s.questions, q)
	}
	began := time.Now()
	for {
		if s.sights, err = c.trap.Read(); err != nil {
			return s, err
		}
		if time.Since(began) >= proof.Patience(questions, s.sights) || ctx.Err() != nil {
			return s, ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
}

// put makes a question arrive. One that opens a connection is taken back as soon as it is answered, which is at once
// unless another host has to be asked.
func (c *crossing) put(q proof.Question) error {
	if err := c.gate.Receive(q.Path.Index, c.frame(q)); err != nil || q.Proto != "tcp" || q.Kind == proof.Closed {
		return err
	}
	c.open = append(c.open, q)
	if s, err := c.trap.Left(q.Path.Family); err != nil || !s.Answered(q) {
		return err
	}
	return c.takeBack()
}

// takeBack resets what questions have opened.
func (c *crossing) takeBack() error {
	for _, q := range c.open {
		if err := c.gate.Receive(q.Path.Index, inject.RST(c.way(q), sequence(q))); err != nil {
			return err
		}
	}
	c.open = nil
	return nil
}

func (c *crossing) frame(q proof.Question) []byte {
	switch q.Proto {
	case "tcp":
		return inject.SYN(c.way(q), sequence(q))
	case "udp":
		return inject.UDP(c.way(q), payload(q))
	}
	return inject.Echo(c.way(q))
}

func (c *crossing) way(q proof.Question) inject.Way {
	w := inject.Way{From: q.From, To: q.To}
	if mac := c.target.Facts.Links[q.Path.Link].MAC; mac != "" {
		w.MAC = []byte(mac)
	}
	return w
}

// sequence is the question's initial sequence number.
func sequence(q proof.Question) uint32 { return uint32(q.From.Port()) << 8 }
