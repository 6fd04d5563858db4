package hook

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"replypath/health/trustedfile"
)

const (
	maxFirstLine    = 256 // of a script, in bytes: BINPRM_BUF_SIZE (linux/binfmts.h)
	maxInterpreters = 4   // of a script whose interpreter is a script; the kernel follows as many
	firstExtraFD    = 3   // in the program, of exec.Cmd.ExtraFiles[0]
)

// executable is a program that has been opened, with the interpreters of a script. What is run is what was checked, whatever
// has its path by then.
type executable struct {
	files []*os.File // the program, its interpreter, the interpreter's, ...; O_PATH
	args  []string   // of the last of the files, from argv[0]
}

// openProgram opens a program, and returns an error if a user other than root can modify or replace it or an interpreter.
func openProgram(path string) (*executable, error) {
	x := &executable{args: []string{path}}
	for next := path; ; {
		f, err := trustedfile.OpenProgram(next)
		if err != nil {
			x.close()
			return nil, err
		}
		x.files = append(x.files, f)
		interpreter, arg, err := readInterpreter(f)
		switch {
		case err != nil:
		case interpreter == "":
			return x, nil
		case len(x.files) > maxInterpreters:
			err = fmt.Errorf("%s: its interpreter is a script of a script: more than %d interpreters", path, maxInterpreters)
		}
		if err != nil {
			x.close()
			return nil, err
		}
		// As the kernel does: the interpreter, its argument, the script, and the script's arguments.
		args := []string{interpreter}
		if arg != "" {
			args = append(args, arg)
		}
		x.args = append(append(args, fdPath(firstExtraFD+len(x.files)-1)), x.args[1:]...)
		next = interpreter
	}
}

// path returns the path by which a child process runs the program, with files as its exec.Cmd.ExtraFiles. They stay open in
// it, as an interpreter opens its script there.
func (x *executable) path() string { return fdPath(firstExtraFD + len(x.files) - 1) }

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func (x *executable) close() {
	for _, f := range x.files {
		f.Close()
	}
}

// readInterpreter returns the interpreter of a script and its argument; "" for another program. See execve(2).
func readInterpreter(program *os.File) (interpreter, arg string, err error) {
	f, err := os.Open(fdPath(int(program.Fd())))
	if err != nil { // also of a program that may be run but not read: the kernel would run whatever interpreter it names
		return "", "", fmt.Errorf("read the first line of %s: %w", program.Name(), err)
	}
	defer f.Close()
	line := make([]byte, maxFirstLine)
	n, err := io.ReadFull(f, line)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", "", fmt.Errorf("read the first line of %s: %w", program.Name(), err)
	}
	rest, script := bytes.CutPrefix(line[:n], []byte("#!"))
	if !script {
		return "", "", nil
	}
	rest, _, ended := bytes.Cut(rest, []byte("\n"))
	if !ended && n == maxFirstLine {
		return "", "", fmt.Errorf("the first line of %s is longer than %d bytes: name the interpreter by a shorter path", program.Name(), maxFirstLine)
	}
	text := strings.Trim(string(rest), " \t")
	at := strings.IndexAny(text+" ", " \t")
	if at == 0 {
		return "", "", fmt.Errorf("the first line of %s names no interpreter: write #!/bin/sh, or that of its language", program.Name())
	}
	return text[:at], strings.Trim(text[at:], " \t"), nil
}

// CheckProgram returns an error if the program must not be run as root, because a user other than root can modify or replace it
// or its interpreter. What is wrong with the file is a *trustedfile.Error.
func CheckProgram(path string) error {
	x, err := openProgram(path)
	if err != nil {
		return err
	}
	x.close()
	return nil
}
