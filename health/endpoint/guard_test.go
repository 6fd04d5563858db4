package endpoint

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/health"
)

// A web page whose name was made to lead to 127.0.0.1 asks with that name.
func TestStrangersWebPageIsRefused(t *testing.T) {
	s := open(t)
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:9717": 200, "[::1]:9717": 200, "::1": 200, "[::1]": 200, "192.0.2.1:1": 200,
		"localhost": 200, "LocalHost:9717": 200, own: 200, own + ":9717": 200,
		"rebound.example": 421, "rebound.example:9717": 421, "localhost.example": 421, "127.0.0.1.example": 421, "2130706433.example:80": 421,
	} {
		if code, body, _ := s.ask(t, "GET", "/status", "Host", host); code != want {
			t.Errorf("Host %q: %d, not %d: %.100s", host, code, want, body)
		}
	}
	_, body, _ := s.ask(t, "GET", "/status", "Host", "rebound.example")
	holds(t, body, "rebound.example", "token_file")
}

const aToken = "0123456789abcdef0123456789abcdef"

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenIsAskedFor(t *testing.T) {
	file := tokenFile(t, aToken+"\n")
	s := start(t, health.Endpoint{Listen: anyPort, TokenFile: file})
	s.await(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for header, want := range map[string]int{
		"Bearer " + aToken: 200, "bearer " + aToken: 200, basic("", aToken): 200, basic("anybody", aToken): 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer x": 401, "Bearer " + aToken + "0": 401, "Bearer " + aToken[1:]: 401,
		aToken: 401, "Basic " + aToken: 401, basic(aToken, ""): 401, "Digest " + aToken: 401,
	} {
		for _, path := range []string{"/", "/healthz", "/status", "/metrics"} {
			// The name does not matter: a stranger's page does not know the token.
			code, body, answer := s.ask(t, "GET", path, "Authorization", header, "Host", "gate.example")
			if code != want || (code == 401) != (answer.Get("WWW-Authenticate") != "") || strings.Contains(body, aToken) {
				t.Errorf("%s with %q: %d, not %d: %.100s", path, header, code, want, body)
			}
		}
	}
	other := strings.Repeat("f", 32)
	rewrite(t, file, other)
	for token, want := range map[string]int{aToken: 401, other: 200} {
		if code, _, _ := s.ask(t, "GET", "/status", "Authorization", "Bearer "+token); code != want {
			t.Errorf("after the file has changed, %s: %d, not %d", token, code, want)
		}
	}
	if strings.Contains(s.log.String(), aToken) || strings.Contains(s.log.String(), other) {
		t.Error("the token is in the log")
	}
}

func TestTokenFileThatIsNotSecretIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		prepare func(path string) error
		told    string
	}{
		"read by its group":   {func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600"},
		"read by everybody":   {func(p string) error { return os.Chmod(p, 0o604) }, "chmod 600"},
		"written by everbody": {func(p string) error { return os.Chmod(p, 0o602) }, "chmod 600"},
		"gone":                {os.Remove, "no such file"},
		"a folder":            {func(p string) error { _ = os.Remove(p); return os.Mkdir(p, 0o700) }, "no regular file"},
		"empty":               {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "openssl rand -hex 32"},
		"short":               {func(p string) error { return os.WriteFile(p, []byte("secret"), 0o600) }, "openssl rand -hex 32"},
		"two lines":           {func(p string) error { return os.WriteFile(p, []byte(aToken+"\n"+aToken), 0o600) }, "white space"},
		"huge":                {func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) }, "longer than"},
	} {
		t.Run(what, func(t *testing.T) {
			file := tokenFile(t, aToken)
			s := start(t, health.Endpoint{Listen: anyPort, TokenFile: file})
			s.await(t)
			if err := c.prepare(file); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				code, body, _ := s.ask(t, "GET", "/status", "Authorization", "Bearer "+aToken)
				if code != 503 || strings.Contains(body, file) {
					t.Errorf("%d %s", code, body)
				}
			}
			holds(t, s.log.String(), c.told)
			if n := strings.Count(s.log.String(), "answers nobody"); n != 1 {
				t.Errorf("it was logged %d times", n)
			}
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			rewrite(t, file, aToken)
			if code, body, _ := s.ask(t, "GET", "/status", "Authorization", "Bearer "+aToken); code != 200 {
				t.Errorf("when it is right again: %d %s", code, body)
			}
		})
	}
}
