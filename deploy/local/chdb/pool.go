package chdb

import (
	"context"
	"fmt"
	"time"
)

// connect opens a session. A read-only one has readonly=2, which cannot be
// taken back within it: settings may change, data and readonly itself may not.
func (e *Engine) connect(readOnly bool) (*connection, error) {
	handle, err := e.lib.open("--path="+e.dataDir, e.configFile)
	if err != nil {
		return nil, err
	}
	c := &connection{
		lib: e.lib, handle: handle, database: "default",
		tag: fmt.Sprintf("session %d", e.serial.Add(1)),
	}
	setup := "SET log_comment = " + quoteString(c.tag)
	if err := c.exec(setup); err != nil {
		c.close()
		return nil, fmt.Errorf("name the session: %w", err)
	}
	if readOnly {
		if err := c.exec("SET readonly = 2"); err != nil {
			c.close()
			return nil, fmt.Errorf("make the session read-only: %w", err)
		}
		c.readOnly = true
	}
	return c, nil
}

// acquire lends a connection, and waits while all slots are taken. It prefers one that has the
// wanted settings and database, else it takes the one that has waited longest. So each of the few
// sets of settings that programs use keeps connections of its own.
func (e *Engine) acquire(ctx context.Context, readOnly bool, database string, s settings) (*connection, error) {
	timer := time.NewTimer(e.queueTimeout)
	defer timer.Stop()
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, &Exception{Code: codeQueryCancelled,
			Message: "The client went away while the query was waiting. (QUERY_WAS_CANCELLED)"}
	case <-timer.C:
		return nil, &Exception{Code: codeTooManyQueries,
			Message: fmt.Sprintf("Too many simultaneous queries. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", cap(e.slots))}
	}
	e.lock.Lock()
	if e.closed {
		e.lock.Unlock()
		<-e.slots
		return nil, &Exception{Code: codeAborted, Message: "The engine is closed. (ABORTED)"}
	}
	e.running.Add(1)
	chosen, best := -1, -1
	for i, c := range e.idle {
		if c.readOnly != readOnly {
			continue
		}
		fits := 0
		if c.settings == s {
			fits += 2
		}
		if c.database == database {
			fits++
		}
		if fits > best {
			chosen, best = i, fits
		}
	}
	var c *connection
	if chosen >= 0 {
		c = e.idle[chosen]
		e.idle = append(e.idle[:chosen], e.idle[chosen+1:]...)
	}
	e.lock.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := e.connect(readOnly)
	if err != nil {
		e.running.Done()
		<-e.slots
		return nil, &Exception{Code: codeUnknownException, Message: err.Error()}
	}
	return c, nil
}

// release takes a connection back.
func (e *Engine) release(c *connection) {
	if c.failed && !c.spoiled {
		// A session holds on to its failed statement, in system.processes
		// too, until it runs the next one.
		c.failed = false
		c.spoiled = c.exec("SELECT 1") != nil
	}
	if c.spoiled {
		c.close()
	} else {
		e.lock.Lock()
		e.idle = append(e.idle, c)
		e.lock.Unlock()
	}
	e.running.Done()
	<-e.slots
}

// enter makes database the connection's current one. A connection whose own
// current database was dropped meanwhile can run nothing at all, not even
// USE, so the caller must be ready for c to be replaced.
func (e *Engine) enter(c *connection, database string) (*connection, error) {
	changes := e.databasesChanged.Load()
	if c.database == database && c.changesSeen == changes {
		return c, nil
	}
	err := c.exec("USE " + quoteIdentifier(database))
	if err == nil {
		c.database, c.changesSeen = database, changes
		return c, nil
	}
	fresh, openErr := e.connect(c.readOnly)
	if openErr != nil {
		return c, err
	}
	c.close()
	if err := fresh.exec("USE " + quoteIdentifier(database)); err != nil {
		return fresh, err
	}
	fresh.database, fresh.changesSeen = database, changes
	return fresh, nil
}

// prepare gives the connection a database and settings. It keeps both for the next request, which
// mostly wants the same: to set settings and to take them back costs as much as a small statement.
// Like enter it may replace c, one whose settings cannot be taken back among them.
func (e *Engine) prepare(c *connection, database string, s settings) (*connection, error) {
	if c.settings != s && c.settings != (settings{}) {
		if err := c.exec(c.settings.reset); err != nil {
			fresh, openErr := e.connect(c.readOnly)
			if openErr != nil {
				c.spoiled = true
				return c, err
			}
			c.close()
			c = fresh
		}
		c.settings = settings{}
	}
	c, err := e.enter(c, database)
	if err != nil || c.settings == s {
		return c, err
	}
	if err := c.exec(s.set); err != nil {
		c.spoiled = true // part of the settings may have been applied
		return c, err
	}
	c.settings = s
	return c, nil
}

// kill asks the engine to stop what runs on c, and returns when it has been
// asked, not when it has stopped.
func (e *Engine) kill(c *connection) {
	e.keeperLock.Lock()
	defer e.keeperLock.Unlock()
	if e.keeper.handle == nil {
		return
	}
	// Best effort: a statement that has not reached the process list yet, or
	// runs with a log_comment of its own, is not found and simply ends later.
	_ = e.keeper.exec("KILL QUERY WHERE Settings['log_comment'] = " + quoteString(c.tag) + " ASYNC")
}
