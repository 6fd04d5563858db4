package endpoint

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
)

// The browser of a DNS rebinding attack sends the attacker's host name.
func TestForeignHostHeaderIsRefused(t *testing.T) {
	s := openServer(t)
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:9717": 200, "[::1]:9717": 200, "::1": 200, "[::1]": 200, "192.0.2.1:1": 200,
		"localhost": 200, "LocalHost:9717": 200, own: 200, own + ":9717": 200,
		"rebound.example": 421, "rebound.example:9717": 421, "localhost.example": 421, "127.0.0.1.example": 421, "2130706433.example:80": 421,
	} {
		if code, body, _ := s.request(t, "GET", "/status", "Host", host); code != want {
			t.Errorf("Host %q: %d, not %d: %.100s", host, code, want, body)
		}
	}
	_, body, _ := s.request(t, "GET", "/status", "Host", "rebound.example")
	expectContains(t, body, "rebound.example", "token_file")
}

const testToken = "0123456789abcdef0123456789abcdef"

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, text)
	return path
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenIsRequired(t *testing.T) {
	file := tokenFile(t, testToken+"\n")
	s := startServer(t, health.EndpointSettings{Listen: anyPort, TokenFile: file})
	s.awaitListening(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for header, want := range map[string]int{
		"Bearer " + testToken: 200, "bearer " + testToken: 200, basic("", testToken): 200, basic("user", testToken): 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer x": 401, "Bearer " + testToken + "0": 401, "Bearer " + testToken[1:]: 401,
		testToken: 401, "Basic " + testToken: 401, basic(testToken, ""): 401, "Digest " + testToken: 401,
	} {
		for _, path := range []string{"/", "/healthz", "/status", "/metrics"} {
			// With a token any Host is allowed: a foreign web page does not know the token.
			code, body, answer := s.request(t, "GET", path, "Authorization", header, "Host", "gate.example")
			if code != want || (code == 401) != (answer.Get("WWW-Authenticate") != "") || strings.Contains(body, testToken) {
				t.Errorf("%s with %q: %d, not %d: %.100s", path, header, code, want, body)
			}
		}
	}
	other := strings.Repeat("f", 32)
	writeFile(t, file, other)
	for token, want := range map[string]int{testToken: 401, other: 200} {
		if code, _, _ := s.request(t, "GET", "/status", "Authorization", "Bearer "+token); code != want {
			t.Errorf("with the new file, %s: %d, not %d", token, code, want)
		}
	}
	if strings.Contains(s.log.String(), testToken) || strings.Contains(s.log.String(), other) {
		t.Error("the token is in the log")
	}
}

func TestInsecureTokenFileIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		prepare func(path string) error
		want    string
	}{
		"readable by its group": {func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		"readable by all":       {func(p string) error { return os.Chmod(p, 0o604) }, "chmod 600"},
		"writable by all":       {func(p string) error { return os.Chmod(p, 0o602) }, "chmod o-w"},
		"a link of another user": {func(p string) error {
			return errors.Join(os.Rename(p, p+"-real"), os.Symlink(p+"-real", p), os.Lchown(p, 12345, 0))
		}, "chown -h root"},
		"missing":     {os.Remove, "no such file"},
		"a directory": {func(p string) error { _ = os.Remove(p); return os.Mkdir(p, 0o700) }, "not a regular file"},
		"empty":       {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "openssl rand -hex 32"},
		"short":       {func(p string) error { return os.WriteFile(p, []byte("secret"), 0o600) }, "openssl rand -hex 32"},
		"two lines":   {func(p string) error { return os.WriteFile(p, []byte(testToken+"\n"+testToken), 0o600) }, "white space"},
		"huge":        {func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) }, "longer than"},
	} {
		t.Run(what, func(t *testing.T) {
			file := tokenFile(t, testToken)
			s := startServer(t, health.EndpointSettings{Listen: anyPort, TokenFile: file})
			s.awaitListening(t)
			if err := c.prepare(file); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				code, body, _ := s.request(t, "GET", "/status", "Authorization", "Bearer "+testToken)
				if code != 503 || strings.Contains(body, file) {
					t.Errorf("%d %s", code, body)
				}
			}
			expectContains(t, s.log.String(), c.want)
			if n := strings.Count(s.log.String(), "refuses all requests"); n != 1 {
				t.Errorf("logged %d times", n)
			}
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			writeFile(t, file, testToken)
			if code, body, _ := s.request(t, "GET", "/status", "Authorization", "Bearer "+testToken); code != 200 {
				t.Errorf("with a valid file again: %d %s", code, body)
			}
		})
	}
}
