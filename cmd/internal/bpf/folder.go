package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// namespacePin is pinned in each folder: a map with the loopback link of the folder's network namespace, which the kernel takes out when
// the namespace ends (dev_map_notification in kernel/bpf/devmap.c). The number in the folder's name does not tell whether there is such a
// namespace: it can be held by a file descriptor alone.
const namespacePin = "netns"

// loopback is the index of the loopback link of every network namespace.
const loopback = 1

// makeFolder makes a folder that pinsOf has returned, unless it is there. A new one comes with the end of those of network namespaces that
// have ended: their programs run as long as they are pinned, and nobody else removes them.
func makeFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make a folder for BPF programs: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(folder, namespacePin)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := pinNamespace(folder); err != nil {
		return errors.Join(fmt.Errorf("pin the network namespace in %s: %w", folder, err), removeEmptyFolder(folder))
	}
	removeEnded(filepath.Dir(folder))
	return nil
}

// pinNamespace pins the map with the loopback link of this network namespace.
func pinNamespace(folder string) error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: namespacePin, Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Put(uint32(0), uint32(loopback)); err != nil {
		return err
	}
	return m.Pin(filepath.Join(folder, namespacePin))
}

// removeEnded removes the folders of network namespaces that have ended. What cannot be removed is left to the next one that tries: it
// does not concern this namespace.
func removeEnded(parent string) {
	folders, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, f := range folders {
		if folder := filepath.Join(parent, f.Name()); hasEnded(folder) {
			_ = removeFolder(folder)
		}
	}
}

// hasEnded reports whether the network namespace of a folder has certainly ended.
func hasEnded(folder string) bool {
	m, err := ebpf.LoadPinnedMap(filepath.Join(folder, namespacePin), nil)
	if err != nil {
		return false
	}
	defer m.Close()
	var index uint32
	return m.Type() == ebpf.DevMap && errors.Is(m.Lookup(uint32(0), &index), ebpf.ErrKeyNotExist)
}

// removeFolder removes a folder of pins, if it exists, and the one that it is in, unless that has others. A program ends at once: the
// kernel would only later notice that the last pin of its link is gone.
func removeFolder(folder string) error {
	pinned, _, err := pinsIn(folder)
	for _, name := range pinned {
		err = errors.Join(err, unpin(filepath.Join(folder, name)))
	}
	if err != nil {
		return err
	}
	return removeEmptyFolder(folder)
}

// pinsIn returns the names of what is pinned in a folder beside its network namespace, and whether there is the folder.
func pinsIn(folder string) (names []string, exists bool, err error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("list BPF programs: %w", err)
	}
	for _, e := range entries {
		if e.Name() != namespacePin {
			names = append(names, e.Name())
		}
	}
	return names, true, nil
}

// unpin removes a pin, if it exists. The program of a link ends.
func unpin(path string) error {
	var failed error
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		failed = errors.Join(l.Detach(), l.Close())
	}
	return errors.Join(failed, remove(path))
}

// removeEmptyFolder removes a folder in which nothing but the network namespace is pinned, and the one that it is in, unless that has
// others.
func removeEmptyFolder(folder string) error {
	pinned, exists, err := pinsIn(folder)
	if err != nil || !exists || len(pinned) > 0 {
		return err
	}
	if err := errors.Join(remove(filepath.Join(folder, namespacePin)), remove(folder)); err != nil {
		return fmt.Errorf("remove the folder of BPF programs: %w", err)
	}
	_ = os.Remove(filepath.Dir(folder)) // unless it has more
	return nil
}
