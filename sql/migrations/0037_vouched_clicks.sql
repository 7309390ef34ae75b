-- +goose Up
-- A click of a backend takes the place of a public one under the same id, whenever it comes.

ALTER TABLE clicks
    COMMENT COLUMN version 'Inverse of received_at, greater for all clicks that are vouched: of those under one id the first that a secret key came with stays, else the first';
