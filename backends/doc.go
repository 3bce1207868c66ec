// Package backends runs the serving halves of split drivers: it finds the devices
// that the toolstack asks for, leads each through the states of xenbus, and sees to
// it that a device gives back all it holds of its frontend.
package backends
