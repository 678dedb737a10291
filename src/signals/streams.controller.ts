import { Body, Controller, Delete, Get, Header, HttpCode, HttpStatus, Patch, Post, Put, Query } from '@nestjs/common';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import {
  ChangeStreamDto,
  ChangeStreamStatusDto,
  CreateStreamDto,
  StreamQuery,
  StreamsQuery,
  SubjectDto,
  VerificationDto,
} from './dto/stream.dto.js';
import type { StreamConfiguration } from './stream-configuration.js';
import { type StreamState, StreamsService } from './streams.service.js';
import { SubjectsService } from './subjects.service.js';

/** The API by which receivers manage their streams (SSF 1.0 §8.1). discovery.controller.ts publishes the paths. */
@Controller('v1/signals')
export class StreamsController {
  constructor(
    private readonly streams: StreamsService,
    private readonly subjects: SubjectsService,
  ) {}

  /** §8.1.1.1. */
  @Post('streams')
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  create(@Context() context: AuthorizedContext, @Body() stream: CreateStreamDto): Promise<StreamConfiguration> {
    return this.streams.create(context, stream);
  }

  /** §8.1.1.2. */
  @Get('streams')
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  get(
    @Context() context: AuthorizedContext,
    @Query() { stream_id: id }: StreamsQuery,
  ): Promise<StreamConfiguration | StreamConfiguration[]> {
    return id === undefined ? this.streams.list(context) : this.streams.get(context, id);
  }

  /** §8.1.1.3. */
  @Patch('streams')
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  update(@Context() context: AuthorizedContext, @Body() stream: ChangeStreamDto): Promise<StreamConfiguration> {
    return this.streams.change(context, stream, false);
  }

  /** §8.1.1.4. */
  @Put('streams')
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  replace(@Context() context: AuthorizedContext, @Body() stream: ChangeStreamDto): Promise<StreamConfiguration> {
    return this.streams.change(context, stream, true);
  }

  /** §8.1.1.5. */
  @Delete('streams')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Requires('events:manage')
  delete(@Context() context: AuthorizedContext, @Query() { stream_id: id }: StreamQuery): Promise<void> {
    return this.streams.delete(context, id);
  }

  /** §8.1.2.1. */
  @Get('status')
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  getStatus(@Context() context: AuthorizedContext, @Query() { stream_id: id }: StreamQuery): Promise<StreamState> {
    return this.streams.getStatus(context, id);
  }

  /** §8.1.2.2. */
  @Post('status')
  @HttpCode(HttpStatus.OK)
  @Requires('events:manage')
  @Header('cache-control', 'no-store')
  setStatus(@Context() context: AuthorizedContext, @Body() change: ChangeStreamStatusDto): Promise<StreamState> {
    return this.streams.setStatus(context, change);
  }

  /** §8.1.3.2. */
  @Post('subjects/add')
  @HttpCode(HttpStatus.OK)
  @Requires('events:manage')
  add(@Context() context: AuthorizedContext, @Body() subject: SubjectDto): Promise<void> {
    return this.subjects.set(context, subject, false);
  }

  /** §8.1.3.3. */
  @Post('subjects/remove')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Requires('events:manage')
  remove(@Context() context: AuthorizedContext, @Body() subject: SubjectDto): Promise<void> {
    return this.subjects.set(context, subject, true);
  }

  /** §8.1.4.2. */
  @Post('verification')
  @HttpCode(HttpStatus.NO_CONTENT)
  @Requires('events:manage')
  verify(@Context() context: AuthorizedContext, @Body() { stream_id: id, state }: VerificationDto): Promise<void> {
    return this.streams.verify(context, id, state);
  }
}
