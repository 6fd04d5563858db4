package main

import (
	"errors"
	"io/fs"

	"replypath/cmd/internal/config"
	"replypath/health/hook"
	"replypath/health/trustedfile"
	"replypath/uplinks/inspect"
)

const othersRead fs.FileMode = 0o004

// fileFindings checks the files that the configuration names.
func fileFindings(c config.Config) (all []inspect.Finding) {
	for _, path := range c.Health.OnChange {
		all = append(all, fileFinding("on_change", hook.CheckProgram(path))...)
	}
	e := c.Endpoint
	for _, f := range []struct {
		key, path string
		secret    bool
	}{{"token_file", e.TokenFile, true}, {"tls_cert", e.CertFile, false}, {"tls_key", e.KeyFile, true},
		{"token_file of [peer]", c.Peer.TokenFile, true}, {"ca_file", c.Peer.CAFile, false}} {
		if f.path != "" {
			all = append(all, fileFinding(f.key, checkFile(f.path, f.secret))...)
		}
	}
	return all
}

// fileFinding returns the finding for an error with the file of a key.
func fileFinding(key string, err error) []inspect.Finding {
	var untrusted *trustedfile.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &untrusted):
		return []inspect.Finding{{What: key + ": " + untrusted.What, Remedy: untrusted.Remedy}}
	case errors.Is(err, fs.ErrPermission):
		return []inspect.Finding{{What: key + ": " + err.Error(), Remedy: "run the check as root: sudo replypath check"}}
	}
	return []inspect.Finding{{What: key + ": " + err.Error(), Remedy: "write the path of an existing file"}}
}

// checkFile opens a file as the service does, and reports a secret that all users can read.
func checkFile(path string, secret bool) error {
	f, err := trustedfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && secret && info.Mode()&othersRead != 0 {
		return &trustedfile.Error{What: path + " can be read by every user", Remedy: "chmod o-r " + path}
	}
	return err
}
