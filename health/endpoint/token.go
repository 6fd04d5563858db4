package endpoint

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"replypath/health/trustedfile"
)

// Limits of a token, in bytes.
const (
	minTokenLen      = 16
	maxTokenFileSize = 4 << 10
)

// readToken returns the token in the file, without surrounding white space. Only the owner of the file may be allowed to
// read or write it.
func readToken(path string) (string, error) {
	f, err := trustedfile.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("read the token: users other than the owner can read or write %s (mode %#o): chmod 600 %[1]s", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFileSize+1))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	switch {
	case len(text) > maxTokenFileSize:
		return "", fmt.Errorf("read the token: %s is longer than %d bytes", path, maxTokenFileSize)
	case len(token) < minTokenLen:
		return "", fmt.Errorf("read the token: %s has fewer than %d characters: generate one with openssl rand -hex 32", path, minTokenLen)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", fmt.Errorf("read the token: %s has white space or non-ASCII characters, which cannot be sent: generate one with openssl rand -hex 32", path)
	}
	return token, nil
}

var errUnauthorized = errors.New("token missing or wrong: send it as Authorization: Bearer TOKEN, or as the password of any user")

// presentsToken reports whether the request presents the token, in constant time.
func presentsToken(r *http.Request, token string) bool {
	_, presented, ok := r.BasicAuth()
	if !ok {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		presented = strings.TrimSpace(rest)
	}
	a, b := sha256.Sum256([]byte(presented)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
