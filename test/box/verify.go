package box

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// Short returns the result and the cause.
func (f VerifyResult) Short() string { return strings.TrimSpace(f.Result + " " + f.Cause) }

// VerifyReport is what verify --json prints, as far as tests look at it.
type VerifyReport struct {
	Version int
	Result  string
	Paths   []verifyPath
}

type verifyPath struct {
	Uplink, Family, Interface string
	Asked, Shown              VerifyResult
	Strays, Verdict           VerifyResult
	Seen                      *struct{ Symmetric, Stray int }
	Questions                 []VerifyPacket
}

// VerifyPacket is a test packet as verify --json prints it.
type VerifyPacket struct {
	Kind, Protocol, To, From string
	Left                     string `json:"left_by"`
	Proxy                    *struct {
		Intercept string
		Port      int
	}
	VerifyResult
}

// VerifyResult is a result as verify --json prints it.
type VerifyResult struct{ Result, Cause, Why, Remedy string }

func (f VerifyResult) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Result, f.Cause, f.Why))
}

// Verify runs verify --json and wants its exit status to agree with the result.
func (b *Box) Verify() VerifyReport {
	b.T.Helper()
	r := b.Run("verify", "--json")
	var v VerifyReport
	if err := json.Unmarshal([]byte(r.Stdout), &v); err != nil || v.Version != 1 {
		b.T.Fatalf("verify --json: %v: %s", err, r)
	}
	want := map[string]int{"yes": 0, "unknown": 0, "no": 3}[v.Result]
	if r.Status != want {
		b.T.Errorf("verify says %q and exits with %d", v.Result, r.Status)
	}
	return v
}

// Path returns that of an uplink in a family.
func (v VerifyReport) Path(u *world.Uplink, family int) verifyPath {
	i := slices.IndexFunc(v.Paths, func(p verifyPath) bool {
		return p.Interface == u.Link.Name && p.Family == fmt.Sprintf("ipv%d", family)
	})
	if i < 0 {
		return verifyPath{}
	}
	return v.Paths[i]
}

// Request returns the first of that kind.
func (p verifyPath) Question(kind string) VerifyPacket {
	i := slices.IndexFunc(p.Questions, func(q VerifyPacket) bool { return q.Kind == kind })
	if i < 0 {
		return VerifyPacket{}
	}
	return p.Questions[i]
}

// WantOK wants every path and every request to be right.
func (v VerifyReport) WantOK(t *testing.T, uplinks int) {
	t.Helper()
	if v.Result != "yes" || len(v.Paths) != 2*uplinks {
		t.Errorf("result %q of %d paths", v.Result, len(v.Paths))
	}
	for _, p := range v.Paths {
		p.WantOK(t)
	}
}

func (p verifyPath) WantOK(t *testing.T) {
	t.Helper()
	if p.Asked.Result != "yes" || p.Shown.Result != "yes" || len(p.Questions) == 0 {
		t.Errorf("%s %s: asked %s, shown %s, %d questions", p.Uplink, p.Family, p.Asked, p.Shown, len(p.Questions))
	}
	for _, q := range p.Questions {
		if q.Result != "yes" || q.Left != p.Interface {
			t.Errorf("%s %s: %s to %s: %s, left by %q", p.Uplink, p.Family, q.Kind, q.To, q.VerifyResult, q.Left)
		}
	}
}

// WantShown wants that result and cause of the injected requests.
func (p verifyPath) WantShown(t *testing.T, want string) {
	t.Helper()
	if got := p.Shown.Short(); got != want {
		t.Errorf("%s %s: shown %s, want %s", p.Uplink, p.Family, p.Shown, want)
	}
}
