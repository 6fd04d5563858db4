package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recipeScene is the part of the page of recipes that plays in one world: what stands below one annotation, up to the next.
type recipeScene struct {
	title  string
	line   int      // of the annotation
	world  []string // what it is made of
	blocks []codeBlock
}

// codeBlock is a block of code.
type codeBlock struct {
	line     int // of its first line
	language string
	lines    []string
}

// typedCommand is a command of a block, with the output that the page shows.
type typedCommand struct {
	line    int
	command []string
	output  []string
	status  int
}

const (
	root      = "gateway# "
	sameWorld = "<!-- same world -->"
)

var (
	worldMark  = regexp.MustCompile(`^<!-- world: (.+) -->$`)
	statusMark = regexp.MustCompile(`^\(exit status (\d+)\)$`)
)

// parseScenes reads the page. Every block of code must be annotated: by the world that it is shown in, or as being of the same
// world as the one before it.
func parseScenes(page string) (all []recipeScene, err error) {
	title, before := "", ""
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		language, opens := strings.CutPrefix(line, "```")
		switch {
		case opens:
			length := slices.Index(lines[i+1:], "```")
			if length < 0 {
				return nil, fmt.Errorf("line %d: the block does not end", i+1)
			}
			block := codeBlock{i + 2, language, lines[i+1 : i+1+length]}
			if m := worldMark.FindStringSubmatch(before); m != nil {
				all = append(all, recipeScene{title: title, line: i, world: strings.Split(m[1], "; ")})
			} else if before != sameWorld || len(all) == 0 {
				return nil, fmt.Errorf("line %d: the block has no annotation: write <!-- world: ... --> or %s above it", i+1, sameWorld)
			}
			all[len(all)-1].blocks = append(all[len(all)-1].blocks, block)
			i += length + 1
		case strings.HasPrefix(line, "#"):
			title = strings.TrimLeft(line, "# ")
		case worldMark.MatchString(line) && i+1 < len(lines) && !strings.HasPrefix(lines[i+1], "```"):
			return nil, fmt.Errorf("line %d: the annotation has no block", i+1)
		}
		before = line
	}
	return all, nil
}

// session reads a block of commands: each behind a prompt, and below it what one sees.
func (f codeBlock) session() (all []typedCommand, err error) {
	for i, line := range f.lines {
		command, is := strings.CutPrefix(line, root)
		status := statusMark.FindStringSubmatch(line)
		switch {
		case is && strings.ContainsAny(command, `'"|;&$<>*`):
			return nil, fmt.Errorf("line %d: %q wants a shell", f.line+i, command)
		case is:
			all = append(all, typedCommand{line: f.line + i, command: strings.Fields(command)})
		case len(all) == 0:
			return nil, fmt.Errorf("line %d: %q is said by no command: commands begin with %q", f.line+i, line, root)
		case status != nil:
			fmt.Sscan(status[1], &all[len(all)-1].status)
		default:
			all[len(all)-1].output = append(all[len(all)-1].output, line)
		}
	}
	return all, nil
}

// fits reports whether the output of a command is the one that the page shows: "..." stands for anything in a line, and alone in one for any
// lines.
func (c typedCommand) fits(output string) bool {
	var form strings.Builder
	form.WriteString("^")
	for _, line := range c.output {
		if line == "..." {
			form.WriteString(`(.*\n)*?`)
			continue
		}
		form.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, ".*") + ` *\n`)
	}
	form.WriteString("$")
	return regexp.MustCompile(form.String()).MatchString(output)
}

func TestRecipeBlockNeedsAnAnnotation(t *testing.T) {
	const block = "```console\ngateway# ip rule\n```\n"
	for page, refused := range map[string]bool{
		"<!-- world: a; b -->\n" + block + "\n" + sameWorld + "\n" + block: false,
		block:                              true,
		sameWorld + "\n" + block:           true,
		"<!-- world: a -->\n\n" + block:    true,
		"<!-- world: a -->\n```console\nx": true,
	} {
		if _, err := parseScenes(page); (err != nil) != refused {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestRecipeOutputIsCompared(t *testing.T) {
	for _, c := range []struct {
		sees, output string
		fits         bool
	}{
		{"", "", true},
		{"", "a\n", false},
		{"a", "a\n", true},
		{"a", "a\nb\n", false},
		{"a", "A\n", false},
		{"a...c", "abbc\n", true},
		{"a...c", "ab\nc\n", false},
		{"a\n...", "a\nb\nc\n", true},
		{"a\n...\nc", "a\nc\n", true},
		{"a\n...\nc", "a\nb\n", false},
		{"a.c", "abc\n", false},
	} {
		var sees []string
		if c.sees != "" {
			sees = strings.Split(c.sees, "\n")
		}
		if got := (typedCommand{output: sees}).fits(c.output); got != c.fits {
			t.Errorf("%q fits %q: %t", c.output, c.sees, got)
		}
	}
}
