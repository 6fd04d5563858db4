// Package routers tests several uplinks on one link, distinguished by the hardware addresses of their routers.
package routers
