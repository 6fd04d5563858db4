package config

import (
	"cmp"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"replypath/etc"
	"replypath/marks"
	"replypath/uplinks"
)

// FuzzRead reads a main file and the file of an uplink "lte".
func FuzzRead(f *testing.F) {
	f.Add(string(etc.Sample), "")
	f.Add("", lte+"probes.web.target = 'HTTP://Example.NET:080/a?b#'\n")
	f.Add("inside = ['lan0']\nuplinks={a.id=1,a.gateway=['auto','2001:db8::1%a'],'b'={id=2,gateway='''auto'''}}\n", lte)
	f.Add("prove=['tcp://:443','udp://lte:53','tcp://[2001:db8::2]:80']\non_change=['/bin/true']\nendpoint={listen='[::1]:80',token_file='/t'}\n"+
		"proof={every='off',source='203.0.113.77'}\n[probes]\nloss='off'\nlatency=['1s','.5s']\n",
		lte+"quorum=2\nprobes.a={target='gateway',interval='1m0s',retry='50ms',fall=1,rise=1}\nprobes.b={target='https://a/',status=204,body='x'}\n")
	files, err := filepath.Glob("testdata/bad-*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(text) < 2000 {
			f.Add(string(text), lte)
			f.Add("", string(text))
		}
	}
	f.Fuzz(func(t *testing.T, main, lte string) {
		texts := map[string]string{"replypath.toml": main, "lte.toml": lte}
		sources := func() (all []*source) {
			for _, file := range []string{"replypath.toml", "lte.toml"} {
				if texts[file] != "" {
					all = append(all, &source{path: file, text: texts[file], name: map[string]string{"lte.toml": "lte"}[file]})
				}
			}
			return all
		}
		if len(sources()) == 0 {
			return
		}
		c, mistakes := resolve(sources())
		if _, again := resolve(sources()); again.String() != mistakes.String() {
			t.Fatalf("two results for one input:\n%s\n%s", mistakes, again)
		}
		if len(mistakes) > 0 {
			checkMistakes(t, mistakes, texts)
			return
		}
		if err := checkConfig(c); err != nil {
			t.Fatalf("%v: %+v", err, c)
		}
		checkProposal(t, c.Settings)
	})
}

// checkMistakes checks that each mistake points into the text and is formatted in four lines.
func checkMistakes(t *testing.T, mistakes Mistakes, texts map[string]string) {
	for _, m := range mistakes {
		lines := strings.Split(texts[m.File], "\n")
		if m.Line < 1 || m.Line > len(lines) {
			t.Fatalf("line out of range: %+v", m)
		}
		length := utf8.RuneCountInString(strings.TrimSuffix(lines[m.Line-1], "\r"))
		if m.Col < 1 || m.Len < 1 || m.Col+m.Len-1 > max(length, m.Col) || m.Col > length+1 {
			t.Fatalf("column out of range: %+v", m)
		}
		if m.Message == "" || m.Remedy == "" || strings.Count(m.String(), "\n") != 4 {
			t.Fatalf("not four lines: %q", m)
		}
	}
	if !slices.IsSortedFunc(mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	}) {
		t.Fatalf("not sorted:\n%s", mistakes)
	}
}

func checkProposal(t *testing.T, s uplinks.Settings) {
	var text strings.Builder
	if err := Propose(&text, s, nil); err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
	back, mistakes := resolve([]*source{{path: "proposal", text: text.String()}})
	if diff := gocmp.Diff(s, back.Settings, byValue); diff != "" || len(mistakes) > 0 {
		t.Fatalf("%s\n%s\n%s", diff, mistakes, text.String())
	}
}

// checkConfig checks a configuration independently of the code under test.
func checkConfig(c Config) error {
	run := strings.Trim(formatBits(uint32(c.Mask)), "0")
	switch {
	case run == "" || strings.Contains(run, "0"):
		return errors.New("mask")
	case c.Priority < 1 || c.Priority > 30766:
		return errors.New("priority")
	case c.TableBase < 256 || c.TableBase+255 > 0x7fffffff:
		return errors.New("table_base")
	case c.Group < 1 || c.Group > 0x7fffffff:
		return errors.New("link_group")
	case c.Backend != marks.Auto && c.Backend != marks.NFT && c.Backend != marks.Legacy:
		return errors.New("backend")
	case len(c.Uplinks) == 0:
		return errors.New("no uplinks")
	}
	links, ids, names := slices.Clone(c.Inside), map[marks.ID]bool{}, map[string]bool{}
	for _, u := range c.Uplinks {
		links = append(links, u.Link)
		if ids[u.ID] || names[u.Name] || u.ID < 1 || u.ID > c.Mask.MaxID() || !validName(u.Name) || slices.Contains(uplinks.ReservedTableNames(), u.Name) {
			return errors.New("id or name of " + u.Name)
		}
		ids[u.ID], names[u.Name] = true, true
		if err := checkGateways(u); err != nil {
			return err
		}
	}
	for i, link := range links {
		if slices.Contains(links[:i], link) || !validLink(link) {
			return errors.New("link " + link)
		}
	}
	return cmp.Or(checkHealth(c), checkEndpoint(c.Endpoint), checkPeer(c.Peer))
}

func formatBits(n uint32) (bits string) {
	for i := range 32 {
		bits += string("01"[n>>i&1])
	}
	return bits
}

func validName(s string) bool {
	return s != "" && len(s) <= 15 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func validLink(s string) bool {
	return s != "" && len(s) <= 15 && !strings.ContainsAny(s[:1], "._@+-") && !strings.HasSuffix(s, "+") &&
		strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789._@+-") == ""
}

func checkGateways(u uplinks.Uplink) error {
	if u.Gateway4 == (uplinks.Gateway{}) && u.Gateway6 == (uplinks.Gateway{}) || u.WhenDown != uplinks.Hold && u.WhenDown != uplinks.Release {
		return errors.New("gateway or when_down of " + u.Name)
	}
	for want4, g := range map[bool]uplinks.Gateway{true: u.Gateway4, false: u.Gateway6} {
		if g.Addr == (netip.Addr{}) {
			continue
		}
		if g.Auto || g.Addr.Is4() != want4 || !g.Addr.IsGlobalUnicast() && !g.Addr.IsLinkLocalUnicast() || g.Addr.Zone() != "" || g.Addr.Is4In6() {
			return errors.New("gateway " + g.Addr.String())
		}
	}
	return nil
}
