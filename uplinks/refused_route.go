package uplinks

import (
	"errors"
	"maps"
)

// ErrRefused is wrapped by the error of a route that the kernel refuses for what it says.
var ErrRefused = errors.New("the kernel refuses the route")

// RefusedRoute is the error of a step that sets a route, which wraps ErrRefused.
type RefusedRoute struct {
	Step SetRoute
	Err  error
}

// Error returns the text of the cause.
func (e *RefusedRoute) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RefusedRoute) Unwrap() error { return e.Err }

// RefusedRoutes returns the routes of the settings' paths that were refused according to an error of Execute, by path.
func (s Settings) RefusedRoutes(err error) map[PathKey]*RefusedRoute {
	refused := map[PathKey]*RefusedRoute{}
	s.addRefused(refused, err)
	return refused
}

// addRefused adds the refused routes that err wraps.
func (s Settings) addRefused(refused map[PathKey]*RefusedRoute, err error) {
	switch err := err.(type) {
	case *RefusedRoute:
		for _, u := range s.Uplinks {
			if s.Table(u) == err.Step.Key.Table {
				refused[PathKey{u.Name, err.Step.Key.Family}] = err
			}
		}
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			s.addRefused(refused, e)
		}
	}
}

// refusals returns the reasons of the refused routes, added to those known before.
func refusals(known map[PathKey]string, refused map[PathKey]*RefusedRoute) map[PathKey]string {
	all := map[PathKey]string{}
	maps.Copy(all, known)
	for path, r := range refused {
		all[path] = r.Error()
	}
	return all
}
