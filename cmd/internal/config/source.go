package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// The TOML library recurses for each bracket and stores every prefix of a dotted key: a file of nothing but brackets or
// dots would exhaust the stack or the memory.
const (
	maxLine     = 4096
	maxBrackets = 10_000
)

// source is one configuration file.
type source struct {
	path     string
	name     string // of the uplink of a file in uplinks.d; "" for the main file
	text     string
	meta     toml.MetaData
	keys     map[string]toml.Primitive
	mistakes *Mistakes
}

// parse decodes the text as TOML. It reports a mistake and returns false if the text is not TOML.
func (s *source) parse() (ok bool) {
	if at, message, remedy := s.precheck(); message != "" {
		s.addMistake(at, message, remedy)
		return false
	}
	err := s.decode()
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		start := min(max(syntax.Position.Start, 0), len(s.text))
		// At the end of a file the library's position may be inside a multi-byte character.
		for start > 0 && start < len(s.text) && !utf8.RuneStart(s.text[start]) {
			start--
		}
		s.addMistake(textRange{start, start + syntax.Position.Len}, "not valid TOML: "+syntax.Message, syntaxRemedy)
	case err != nil:
		s.addMistake(textRange{}, "not valid TOML: "+err.Error(), syntaxRemedy)
	}
	return err == nil
}

const syntaxRemedy = `write key = value, strings in quotes, tables as [uplinks.NAME]; see replypath.toml(5)`

// decode decodes the text. It returns a panic of the library as an error: a bad file must not stop a running service.
func (s *source) decode() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	s.meta, err = toml.Decode(s.text, &s.keys)
	return err
}

// precheck returns a mistake for a text that is not passed to the TOML library: another encoding, or beyond its limits.
func (s *source) precheck() (at textRange, message, remedy string) {
	switch {
	case strings.HasPrefix(s.text, "\xff\xfe"), strings.HasPrefix(s.text, "\xfe\xff"):
		return textRange{0, 2}, "the file is UTF-16", "save it as UTF-8"
	case !utf8.ValidString(s.text):
		i := invalidUTF8(s.text)
		return textRange{i, i + 1}, fmt.Sprintf("the byte %#02x is not UTF-8", s.text[i]), "save the file as UTF-8"
	}
	start, brackets := 0, 0
	for line := range strings.Lines(s.text) {
		brackets += strings.Count(line, "[") + strings.Count(line, "{")
		switch {
		case len(line) > maxLine:
			return textRange{start, start}, fmt.Sprintf("the line is longer than %d bytes", maxLine),
				"break the list over several lines"
		case brackets > maxBrackets:
			return textRange{start, start}, fmt.Sprintf("the file has more than %d brackets", maxBrackets),
				"move uplinks to files of their own in uplinks.d"
		}
		start += len(line)
	}
	return textRange{}, "", ""
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, width := utf8.DecodeRuneInString(text[i:]); width == 1 {
				return i
			}
		}
	}
	return len(text)
}

// addMistake records a mistake at the range.
func (s *source) addMistake(at textRange, message, remedy string) {
	start := min(at.start, len(s.text))
	head := strings.LastIndexByte(s.text[:start], '\n') + 1
	line, _, _ := strings.Cut(s.text[head:], "\n")
	line = strings.TrimSuffix(line, "\r")
	line = line[:min(len(line), maxLine)]
	end := head + len(line)
	start = min(start, end)
	*s.mistakes = append(*s.mistakes, Mistake{
		File:    s.path,
		Line:    s.line(at),
		Col:     utf8.RuneCountInString(s.text[head:start]) + 1,
		Len:     max(1, utf8.RuneCountInString(s.text[start:max(start, min(at.end, end))])),
		Source:  strings.Map(printable, line),
		Message: strings.Map(printable, message),
		Remedy:  remedy,
	})
}

// line returns the number of the line, from 1, in which the range begins.
func (s *source) line(at textRange) int {
	return 1 + strings.Count(s.text[:min(at.start, len(s.text))], "\n")
}

func printable(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}
