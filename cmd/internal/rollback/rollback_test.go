package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"
)

func settings(names ...string) uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Inside = []string{"br0"}
	for i, name := range names {
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{Name: name, ID: marks.ID(i + 1), Link: "eth" + name, WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.1")}, Gateway6: uplinks.Gateway{Auto: true}})
	}
	return s
}

func newDir(t *testing.T) statedir.Dir {
	t.Helper()
	d, err := statedir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// open reads the transaction as the next process does.
func open(t *testing.T, d statedir.Dir) *Transaction {
	t.Helper()
	x, err := Open(d)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func arm(t *testing.T, x *Transaction, next uplinks.Settings, previous *uplinks.Settings, within time.Duration) {
	t.Helper()
	if err := x.Arm(next, previous, within); err != nil {
		t.Fatal(err)
	}
}

// restored records the settings that are restored.
type restored struct {
	settings []uplinks.Settings
	err      error
}

func (r *restored) Restore(_ context.Context, s uplinks.Settings) error {
	if r.err != nil {
		return r.err
	}
	r.settings = append(r.settings, s)
	return nil
}

func TestChangeIsRolledBackAtItsDeadlineOnly(t *testing.T) {
	d, before, after := newDir(t), settings("a"), settings("a", "b")
	arm(t, open(t, d), after, &before, time.Hour)
	x, r := open(t, d), &restored{}
	if done, err := x.Rollback(t.Context(), r); done || err != nil || len(r.settings) != 0 || !x.Armed() {
		t.Errorf("before the deadline: rolled back %v, %v, %v", done, r.settings, err)
	}
	arm(t, x, after, &before, 0)
	x = open(t, d)
	r.err = errors.New("busy")
	if done, err := x.Rollback(t.Context(), r); done || err != r.err || !x.Due() {
		t.Errorf("a restore that fails: rolled back %v, %v, due %v", done, err, x.Due())
	}
	r.err = nil
	if done, err := x.Rollback(t.Context(), r); !done || err != nil || !reflect.DeepEqual(r.settings, []uplinks.Settings{before}) {
		t.Errorf("at the deadline: rolled back %v to %+v, %v", done, r.settings, err)
	}
	x = open(t, d)
	if done, err := x.Rollback(t.Context(), r); done || err != nil || !x.RolledBack(after) || x.RolledBack(before) {
		t.Errorf("a second time: %v, %v", done, err)
	}
}

func TestCommitKeepsTheChange(t *testing.T) {
	d, before, after := newDir(t), settings("a"), settings("b")
	arm(t, open(t, d), after, &before, time.Hour)
	if err := open(t, d).Commit(); err != nil {
		t.Fatal(err)
	}
	x := open(t, d)
	if now, err := x.Confirmed(); err != nil || now == nil || !reflect.DeepEqual(*now, after) || x.Armed() {
		t.Errorf("confirmed %+v, %v", now, err)
	}
	if err := x.Commit(); !errors.Is(err, ErrNothingPending) {
		t.Errorf("a second commit: %v", err)
	}
}

func TestCommitAfterTheDeadlineIsRefused(t *testing.T) {
	d := newDir(t)
	arm(t, open(t, d), settings("a"), nil, 0)
	if err := open(t, d).Commit(); !errors.Is(err, ErrNothingPending) {
		t.Errorf("%v", err)
	}
	if now, err := open(t, d).Confirmed(); now != nil || err != nil {
		t.Errorf("confirmed %+v, %v", now, err)
	}
}

func TestUnconfirmedSettingsAreNeverRestored(t *testing.T) {
	d, before, first, second := newDir(t), settings("a"), settings("b"), settings("c")
	arm(t, open(t, d), first, &before, time.Hour)
	arm(t, open(t, d), second, &first, time.Hour)
	if x := open(t, d); !reflect.DeepEqual(x.Previous(), before) || !x.Changes(second) {
		t.Errorf("would restore %+v", x.Previous())
	}
}

func TestFirstChangeIsRolledBackToNothing(t *testing.T) {
	d := newDir(t)
	arm(t, open(t, d), settings("a"), nil, 0)
	r := &restored{}
	if done, err := open(t, d).Rollback(t.Context(), r); !done || err != nil || len(r.settings) != 1 || len(r.settings[0].Uplinks) != 0 {
		t.Errorf("rolled back %v to %+v, %v", done, r.settings, err)
	}
}

func TestKeepEndsAPendingChange(t *testing.T) {
	d, kept := newDir(t), settings("b")
	arm(t, open(t, d), settings("a"), nil, time.Hour)
	if err := open(t, d).Keep(kept); err != nil {
		t.Fatal(err)
	}
	x := open(t, d)
	if now, err := x.Confirmed(); err != nil || !reflect.DeepEqual(*now, kept) || x.Armed() {
		t.Errorf("confirmed %+v, %v", now, err)
	}
	if err := Forget(d); err != nil {
		t.Fatal(err)
	}
	if now, err := open(t, d).Confirmed(); now != nil || err != nil {
		t.Errorf("after Forget: %+v, %v", now, err)
	}
}

func TestFileOfAnotherVersionIsRefused(t *testing.T) {
	d := newDir(t)
	if err := d.WriteJSON(pendingName, pendingFile{Version: fileVersion + 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(d); err == nil || !strings.Contains(err.Error(), "replypath flush") {
		t.Errorf("%v, want an error with the remedy", err)
	}
	if err := Forget(d); err != nil {
		t.Fatal(err)
	}
	open(t, d)
}

// TestEveryFieldOfTheSettingsIsSaved fills all fields of the settings, so that a new one cannot be left out.
func TestEveryFieldOfTheSettingsIsSaved(t *testing.T) {
	var want uplinks.Settings
	fill(t, reflect.ValueOf(&want).Elem())
	text, err := json.Marshal(newSavedSettings(want))
	var saved savedSettings
	if err := errors.Join(err, json.Unmarshal(text, &saved)); err != nil {
		t.Fatal(err)
	}
	if got := saved.settings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if other := newSavedSettings(settings("a")); saved.equal(other) || !saved.equal(newSavedSettings(want)) {
		t.Error("equal is wrong")
	}
}

// fill gives a value that is not zero to each field.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[netip.Addr]() {
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.7")))
		return
	}
	if v.Type() == reflect.TypeFor[netip.Prefix]() {
		v.Set(reflect.ValueOf(netip.MustParsePrefix("192.0.2.0/24")))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() { // others are not part of the configuration
				fill(t, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	default:
		t.Fatalf("a field of kind %s: fill it here, and save it", v.Kind())
	}
}
