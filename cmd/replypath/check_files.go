package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"replypath/cmd/internal/config"
	"replypath/uplinks/inspect"
)

const (
	othersWrite fs.FileMode = 0o022
	othersRead  fs.FileMode = 0o004
	anyExecute  fs.FileMode = 0o111
)

// fileFindings checks the files that the configuration names.
func fileFindings(c config.Config) (all []inspect.Finding) {
	for _, path := range c.Health.OnChange {
		all = append(all, inspectFile("on_change", path, checkProgram)...)
	}
	e := c.Endpoint
	all = append(all, inspectFile("token_file", e.TokenFile, checkSecret)...)
	all = append(all, inspectFile("tls_cert", e.CertFile, anyFile)...)
	return append(all, inspectFile("tls_key", e.KeyFile, checkSecret)...)
}

// inspectFile reports what is wrong with the file of a key: that it is not a regular file, or the result of check. It ignores an
// empty path.
func inspectFile(key, path string, check func(path string, info fs.FileInfo) (what, remedy string)) []inspect.Finding {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	var what, remedy string
	switch {
	case errors.Is(err, fs.ErrPermission):
		what, remedy = err.Error(), "run the check as root: sudo replypath check"
	case err != nil:
		what, remedy = err.Error(), "write the path of an existing file"
	case !info.Mode().IsRegular():
		what, remedy = path+" is not a regular file", "write the path of a file"
	default:
		what, remedy = check(path, info)
	}
	if what == "" {
		return nil
	}
	return []inspect.Finding{{What: key + ": " + what, Remedy: remedy}}
}

func anyFile(string, fs.FileInfo) (what, remedy string) { return "", "" }

// checkSecret reports a file that all users can read.
func checkSecret(path string, info fs.FileInfo) (what, remedy string) {
	if info.Mode()&othersRead != 0 {
		return path + " can be read by every user", "chmod o-r " + path
	}
	return "", ""
}

// checkProgram reports a program that is not executable, or that a user other than root can modify or replace.
func checkProgram(path string, info fs.FileInfo) (what, remedy string) {
	if info.Mode()&anyExecute == 0 {
		return path + " is not executable", "chmod +x " + path
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err.Error(), "write the path of an existing file"
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err.Error(), "write the path of an existing file"
		}
		if modifiableByOthers(info) {
			return fmt.Sprintf("%s can be modified by users other than root, and root runs %s", at, path),
				fmt.Sprintf("chown root %s && chmod go-w %s", at, at)
		}
		if at == filepath.Dir(at) {
			return "", ""
		}
	}
}

// modifiableByOthers reports whether users other than root may modify the file or directory. In a sticky directory they may
// replace only their own files.
func modifiableByOthers(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	return !ok || owner.Uid != 0 || info.Mode()&othersWrite != 0 && !sticky
}
