package matrix

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"replypath/health"
	"replypath/test/box"
	"replypath/uplinks"
)

// status returns the status document of the service, and whether it replied.
func status(b *box.Box) (s health.Status, replied bool) {
	b.T.Helper()
	code, body := box.GetFrom(b.T, b.Gateway, "http://127.0.0.1:9717/status")
	if code != http.StatusOK {
		return s, false
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		b.T.Fatalf("/status: %v: %s", err, body)
	}
	return s, true
}

// ofPath returns the status of a path, or the zero status if it has none.
func ofPath(s health.Status, p path) health.FamilyStatus {
	family := map[int]uplinks.Family{4: uplinks.IPv4, 6: uplinks.IPv6}[p.family]
	for _, u := range s.Uplinks {
		for _, f := range u.Families {
			if u.Name == fmt.Sprintf("isp%d", p.uplink) && f.Family == family {
				return f
			}
		}
	}
	return health.FamilyStatus{}
}

// shows reports whether the service reacts to the fault of a path.
func (r reaction) shows(s health.Status, before health.Status, p path) bool {
	now := ofPath(s, p)
	switch r {
	case repairs:
		return s.InSync && s.Changes > before.Changes
	case isUnknown:
		return now.State != health.Up || now.Proof.Verdict().Result == health.Unknown
	}
	return now.State != health.Up
}

// await polls the status until the condition holds, and reports how long that took, or that it did not within the bound.
func await(b *box.Box, bound time.Duration, holds func(health.Status) bool) (took time.Duration, last health.Status, held bool) {
	b.T.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		s, replied := status(b)
		took = time.Since(began)
		switch {
		case replied && holds(s):
			return took, s, true
		case took > bound:
			return took, s, false
		}
	}
}

// provenSince reports whether all paths were proven after a time.
func provenSince(t time.Time) func(health.Status) bool {
	return func(s health.Status) bool {
		return !slices.ContainsFunc(allPaths, func(p path) bool { return !ofPath(s, p).Proof.At.After(t) })
	}
}

// allUp reports whether all paths are up and their replies right.
func allUp(s health.Status) bool {
	return !slices.ContainsFunc(allPaths, func(p path) bool {
		f := ofPath(s, p)
		return f.State != health.Up || f.Proof.Verdict().Result != health.Yes
	})
}

// verdictOf returns the verdict on a path that verify reports, or the zero verdict.
func verdictOf(v box.VerifyReport, p path) box.VerifyResult {
	for _, r := range v.Paths {
		if r.Interface == fmt.Sprintf("eth%d", p.uplink) && r.Family == fmt.Sprintf("ipv%d", p.family) {
			return r.Verdict
		}
	}
	return box.VerifyResult{}
}

// findings returns the identifiers of the errors and warnings of doctor.
func findings(b *box.Box) (ids []string) {
	b.T.Helper()
	for _, f := range b.RunDoctor().Findings {
		if f.Severity != box.IsNote && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// oneOf reports whether the word is one of those that are separated by bars.
func oneOf(word, words string) bool { return slices.Contains(strings.Split(words, "|"), word) }
