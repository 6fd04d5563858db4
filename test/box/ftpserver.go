package box

import (
	"bytes"
	"net"
	"os"
	"path/filepath"

	"replypath/test/world"
)

// ServeFTP runs vsftpd on a host, and gives what is in its one file.
func (b *Box) ServeFTP(h *world.Host) (file []byte) {
	b.T.Helper()
	folder := func(name string) string {
		path := filepath.Join(b.Dir, name)
		if err := os.Mkdir(path, 0o555); err != nil {
			b.T.Fatal(err)
		}
		return path
	}
	root, empty := folder("ftp"), folder("empty")
	file = bytes.Repeat([]byte("a reply leaves by the interface its question came in on\n"), 2000)
	config := filepath.Join(b.Dir, "vsftpd.conf")
	text := "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\n" +
		"connect_from_port_20=YES\nsession_support=NO\nseccomp_sandbox=NO\n" +
		"isolate=NO\nisolate_network=NO\nftp_username=daemon\n" +
		"anon_root=" + root + "\nsecure_chroot_dir=" + empty + "\n"
	for path, content := range map[string]string{filepath.Join(root, "file"): string(file), config: text} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			b.T.Fatal(err)
		}
	}
	// It writes its last words to its standard input, which is where its client would be under inetd.
	words, err := os.Create(filepath.Join(b.Dir, "vsftpd.words"))
	if err != nil {
		b.T.Fatal(err)
	}
	defer words.Close()
	server := h.Command(b.T.Context(), "vsftpd", config)
	server.Stdin = words
	if err := server.Start(); err != nil {
		b.T.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	for {
		// The kernel announces no listeners.
		var c net.Conn
		var err error
		h.Do(func() { c, err = net.Dial("tcp", "[::1]:21") })
		if err == nil {
			c.Close()
			return file
		}
		select {
		case err := <-ended:
			output, _ := os.ReadFile(words.Name())
			b.T.Fatalf("vsftpd: %v\n%s", err, output)
		case <-b.T.Context().Done():
			b.T.Fatal("vsftpd does not listen")
		default:
		}
	}
}
