import { readFileSync } from 'node:fs';
import { Controller, Get, Header } from '@nestjs/common';
import { parse } from 'yaml';
import { Requires } from '../access/permissions.js';

/** Serves the contract in openapi.yaml. Tests check it against the routes. */
@Controller()
export class OpenApiController {
  private readonly document = JSON.stringify(parse(readFileSync(new URL('openapi.yaml', import.meta.url), 'utf8')));

  @Get('openapi.json')
  @Requires('any')
  @Header('content-type', 'application/json; charset=utf-8')
  getDocument(): string {
    return this.document;
  }
}
