package endpoint

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// What a token file holds.
const (
	minTokenLen      = 16
	maxTokenFileSize = 4 << 10
)

// readToken reads the token from its file, without the white space around it. Nobody but its owner may read the file.
func readToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold up everybody
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read the token: %s is no regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("read the token: others than its owner may read or write %s (mode %#o): chmod 600 %[1]s", path, info.Mode().Perm())
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
		return "", fmt.Errorf("read the token: %s holds fewer than %d characters: make one that cannot be guessed: openssl rand -hex 32", path, minTokenLen)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", fmt.Errorf("read the token: %s holds white space or characters that are not ASCII: openssl rand -hex 32 makes one that can be sent", path)
	}
	return token, nil
}

var errUnauthorized = errors.New("the token is wrong or was not shown: send it as Authorization: Bearer TOKEN, or as the password of any user")

// presentsToken reports whether the request shows the token. How long it takes says nothing about the token.
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
