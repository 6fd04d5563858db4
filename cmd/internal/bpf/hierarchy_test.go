package bpf

import "testing"

func TestOwnGroupIsThatOfVersion2(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n": ".",
		"1:name=systemd:/a\n0::/user.slice/user-0.slice\n": "user.slice/user-0.slice",
		"0::/..hidden\n":                  "..hidden",
		"1:cpu:/x\n":                      "",
		"0::/../outside\n":                "",
		"0::/..\n":                        "",
		"0::/gone (deleted)\n":            "",
		"3:net_cls,net_prio:/\n0::/a:b\n": "a:b",
	} {
		if got, err := parseOwn(text); got != want || (err == nil) == (want == "") {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}
