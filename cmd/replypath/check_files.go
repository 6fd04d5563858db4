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

// fileFindings looks at the files that the configuration names, as far as the user may.
func fileFindings(c config.Config) (all []inspect.Finding) {
	for _, path := range c.Health.OnChange {
		all = append(all, inspectFile("on_change", path, checkProgram)...)
	}
	e := c.Endpoint
	all = append(all, inspectFile("token_file", e.TokenFile, checkSecret)...)
	all = append(all, inspectFile("tls_cert", e.CertFile, anyFile)...)
	return append(all, inspectFile("tls_key", e.KeyFile, checkSecret)...)
}

// inspectFile says what is wrong with the file of a key: that it is no regular file, or what wrong says. An empty path is no file.
func inspectFile(key, path string, check func(path string, info fs.FileInfo) (what, remedy string)) []inspect.Finding {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	var what, remedy string
	switch {
	case errors.Is(err, fs.ErrPermission):
		what, remedy = err.Error(), "look at it as root: sudo replypath check"
	case err != nil:
		what, remedy = err.Error(), "write the path of a file that is there"
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

// checkSecret says that everybody may read the file.
func checkSecret(path string, info fs.FileInfo) (what, remedy string) {
	if info.Mode()&othersRead != 0 {
		return path + " can be read by every user", "chmod o-r " + path
	}
	return "", ""
}

// checkProgram says why the program cannot run, or why another than root could have root run something else.
func checkProgram(path string, info fs.FileInfo) (what, remedy string) {
	if info.Mode()&anyExecute == 0 {
		return path + " is not executable", "chmod +x " + path
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err.Error(), "write the path of a file that is there"
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err.Error(), "write the path of a file that is there"
		}
		if modifiableByOthers(info) {
			return fmt.Sprintf("%s can be changed by others than root, and root runs %s", at, path),
				fmt.Sprintf("chown root %s && chmod go-w %s", at, at)
		}
		if at == filepath.Dir(at) {
			return "", ""
		}
	}
}

// modifiableByOthers reports whether others than root may change the file or folder. In a sticky folder they may replace only what is
// their own.
func modifiableByOthers(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	return !ok || owner.Uid != 0 || info.Mode()&othersWrite != 0 && !sticky
}
